"""The spiking rules: closed forms, signs, gates, and pitfalls of Brian2 within a segment."""

import numpy as np
import pytest

from neuro_aws.backends.spiking import kernels
from neuro_aws.backends.spiking.blocks import GATES, Drive, Follower, Piece
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.kernels import Neuron
from neuro_aws.errors import NeuroAWSError
from tests.spiking import cortex, drive, protocol, timeline


@pytest.mark.parametrize(
    "dt", [0.1, 1.0, *(pytest.param(dt, marks=pytest.mark.slow) for dt in (0.2, 0.25, 0.5))]
)
def test_a_psp_has_the_area_of_theory_at_every_time_step(dt):
    """One spike through one synapse of weight 1: the sum of V over time is tau_s / g_L.

    An Euler step in place of the exact decay is 18 % off at 1 ms.
    """
    c = cortex(f"spiking.dt={dt}", "spiking.step=100", "spiking.segment=0.1")
    b2, cells, n = c.b2, c.objects["cortex"], c.neuron
    c.objects["feedback"].w = 0.0
    cells.bias_dendrite = 0.0
    monitor = b2.StateMonitor(cells, "V_star", record=[0], dt=dt * b2.ms, when="end", name="v")
    c.network.add(monitor)
    cells.A_d[0] = cells.B_d[0] = 1.0
    c.simulate(drive(c, 1), 0)
    v = np.asarray(monitor.V_star)[0] / n.prediction
    area = v.sum() * dt
    assert area == pytest.approx(n.tau_s / n.leak, rel=0.004)
    t = dt * np.arange(1, len(v) + 1)
    assert np.allclose(v, kernels.psp(n, t), atol=1e-9)


def test_the_firing_intensity_is_that_of_the_paper():
    n = Neuron()
    assert kernels.phi(n, np.array(1.0)) == pytest.approx(0.15 / 1.5)
    assert kernels.phi(n, np.array(9.0)) == pytest.approx(0.15, rel=1e-3)
    u = np.linspace(-1, 2, 7)
    numeric = (kernels.phi(n, u + 1e-6) - kernels.phi(n, u - 1e-6)) / 2e-6
    assert np.allclose(kernels.slope(n, u), numeric, rtol=1e-6)
    assert n.tau_l == 10
    assert n.psp_scale == pytest.approx(30 / 7)


@pytest.mark.parametrize("dt", [1.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_cells_fire_as_often_as_the_escape_noise_says(dt):
    """Rate of a renewal process with hazard phi and a refractory period: phi / (1 + phi t_ref)."""
    c = cortex(f"spiking.dt={dt}", "network.layers=[64, 12]", "spiking.segment=5")
    d = drive(c, 50)
    d.potential[:, c.layer(0)] = 0.95
    result = c.simulate(d, 3)
    n = c.neuron
    u = 0.95 * n.teacher / (n.leak + n.teacher)
    hazard = 1 - np.exp(-float(kernels.phi(n, np.array(u))) * dt)
    expected = hazard / (1 + hazard * (n.refractory / dt - 1)) / dt * 1000
    found = (result.neuron < 64).sum() / 64 / 5
    assert found == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("offset", "sign"), [(-0.15, 1), (0.0, 0), (0.15, -1)])
def test_the_dendrite_learns_toward_the_soma_and_rests_where_it_is_right(offset, sign):
    """Eq. 2 by spikes: V* below U rises, above it falls; at V* = U there is no bias, refractory or not."""
    c = cortex("network.layers=[64, 12]", "spiking.segment=5", "spiking.learning.feedback=0",
               "spiking.learning.dendrite_bias=1.0e-6")  # fmt: skip
    n, cells = c.neuron, c.objects["cortex"]
    d = drive(c, 50, feedback=1.0)
    d.potential[:, c.layer(0)] = 0.9
    right = 0.9 * n.teacher / (n.leak + n.teacher) / n.prediction
    cells.bias_dendrite = right + offset
    c.objects["feedback"].w = 0.0
    c.simulate(d, 5)
    moved = (np.asarray(cells.bias_dendrite[:])[c.layer(0)] - right - offset) / 1e-6 / 5_000
    error = moved.std() / 8
    if sign:
        assert sign * moved.mean() > 5 * error
    else:
        assert abs(moved.mean()) < 3.5 * error


def test_the_error_of_refractory_cells_is_masked_or_as_in_nest():
    """`nest` takes p* phi' h / p* from the dendrite in every refractory step; no F sees a difference."""
    bias, ended = {}, {}
    for error in ("masked", "nest"):
        c = cortex("network.layers=[64, 12]", "spiking.segment=5", "spiking.learning.feedback=0",
                   "spiking.learning.dendrite_bias=1.0e-9", f"spiking.refractory_error={error}")  # fmt: skip
        c.objects["feedback"].w = 0.0
        d = drive(c, 10, feedback=1.0, feedforward=1.0)
        d.clamp[:] = 1.0
        first = np.array(c.objects["cortex"].bias_dendrite[:])
        result = c.simulate(d, 5)
        bias[error] = np.array(c.objects["cortex"].bias_dendrite[:])
        ended[error] = c.state()
    n, h = c.neuron, 1.0
    left = np.minimum(n.refractory - h, 1000 - h - result.time)  # refractory steps after a spike
    refractory = np.bincount(result.neuron, weights=left, minlength=c.count)
    assert (refractory[c.layer(0)] > 0).all()
    taken = n.prediction * kernels.slope(n, n.prediction * first) * h * refractory
    assert np.allclose((bias["nest"] - bias["masked"]) / 1e-9, -taken, rtol=1e-5)
    for name in ("feedforward.w", "feedforward.eligibility", "cortex.bias", "cortex.U"):
        assert np.array_equal(ended["masked"][name], ended["nest"][name]), name
    assert not np.array_equal(
        ended["nest"]["feedforward.w"], cortex("network.layers=[64, 12]").state()["feedforward.w"]
    )


def test_feedforward_synapses_lower_ach_and_homeostasis_raises_silent_cells():
    """dF = - eta delta eligibility (Eq. 3 by spikes), and a bias that rises where spikes are missing."""
    c = cortex()
    before = c.state()["feedforward.w"]
    total = np.zeros_like(before)
    for k in range(5):
        short = drive(c, 1, feedforward=1.0)
        short.clamp[:] = 1.0  # delta is 1 throughout
        c.simulate(short, k)
        total += c.state()["feedforward.eligibility"]
    change = c.state()["feedforward.w"] - before
    assert np.corrcoef(change, total)[0, 1] < -0.3
    silent = drive(c, 10, homeostasis=1.0)
    silent.gain[:, 70] = 0.0
    bias = c.state()["cortex.bias"][70]
    c.simulate(silent, 99)
    assert c.state()["cortex.bias"][70] > bias


@pytest.mark.parametrize("learnt", [False, True])
def test_closed_gates_change_nothing(learnt):
    c = cortex()
    if learnt:
        gates = {"feedback": 1.0, "ach": 1.0, "feedforward": 1.0, "homeostasis": 1.0}
        c.simulate(drive(c, 10, **gates), 2)
    before = c.state()
    c.simulate(drive(c, 10), 1)
    after = c.state()
    for name in ("feedforward.w", "feedback.w", "readout.r", "cortex.bias", "cortex.bias_dendrite"):
        assert np.array_equal(before[name], after[name]), name
    assert not np.array_equal(before["cortex.U"], after["cortex.U"])


@pytest.fixture(scope="module")
def waking():
    """Return a cortex that was awake for a second, so that its ACh is not 0, and its state."""
    c = cortex()
    c.simulate(drive(c, 10, ach=1.0), 1)
    return c, c.state()


@pytest.mark.parametrize("gate", ["feedforward", "feedback", "ach", "homeostasis"])
def test_every_gate_opens_its_own_plasticity_alone(gate, waking):
    opens = {
        "feedforward": {"feedforward.w"},
        "feedback": {"feedback.w", "cortex.bias_dendrite"},
        "ach": {"readout.r", "features.mean"},
        "homeostasis": {"cortex.bias"},
    }
    c, before = waking
    c.load(before)
    c.simulate(drive(c, 10, **{gate: 1.0}), 2)
    after = c.state()
    variables = set.union(*opens.values())
    changed = {name for name in variables if not np.array_equal(before[name], after[name])}
    assert changed == opens[gate]


@pytest.mark.parametrize("before", [0, 3, 10])
def test_spikes_are_counted_in_the_very_steps_whose_gate_is_open(before):
    """Whenever the segment begins: else a cell's bias would follow the spikes of the step before or after."""
    c = cortex()
    if before:
        c.simulate(drive(c, before), 1)
    d = drive(c, 3)
    d.gates["homeostasis"][:] = [0.0, 1.0, 0.0]
    bias = c.state()["cortex.bias"]
    result = c.simulate(d, 2)
    inside = result.neuron[(result.time >= 100) & (result.time < 200)]
    spikes = np.bincount(inside, minlength=c.count)
    wanted = c.section.learning.homeostasis * (c.section.target_rate * 0.1 - spikes)
    hidden = np.arange(c.count) >= 64
    assert spikes[hidden].any()
    assert np.allclose(c.state()["cortex.bias"] - bias, hidden * wanted, atol=1e-12)


def test_a_dendrite_far_below_threshold_gives_numbers():
    """Where phi(V*) underflows the score is 0 / 0."""
    c = cortex()
    c.objects["cortex"].bias_dendrite = -8.0
    c.simulate(drive(c, 2, feedback=1.0), 1)
    assert np.isfinite(c.state()["feedback.w"]).all()
    assert np.isfinite(c.state()["cortex.bias_dendrite"]).all()


@pytest.mark.parametrize("dt", [1.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_replayed_rate_is_the_rate_that_is_fired(dt):
    """The potential that recalls a rate allows for the refractory period; else it would be a wake/REM cue."""
    c = cortex(f"spiking.dt={dt}", "network.layers=[64, 48]", "spiking.segment=5")
    top = c.layer(1)
    asked = np.repeat([10.0, 30.0, 60.0, 90.0], 12)
    d = drive(c, 50, wake=0.0)
    d.potential[:, top] = c.potential_of(asked)
    result = c.simulate(d, 3)
    found = np.bincount(result.neuron, minlength=c.count)[top].reshape(4, 12).sum(1) / 12 / 5
    error = np.sqrt(asked[::12] / 12 / 5)  # Poisson; refractoriness makes it smaller
    assert (np.abs(found - asked[::12]) < 4 * error).all()
    n = c.neuron
    rates = kernels.rate_at(n, kernels.potential_at(n, asked, dt), dt)
    assert np.allclose(rates, asked, rtol=1e-9)
    assert kernels.potential_at(n, np.array(500.0), dt) < 2


def test_the_readout_rises_in_wake_and_falls_in_rem():
    c = cortex("spiking.learning.ach=0.2")
    for k in range(4):
        awake = c.simulate(drive(c, 10, 1.0, ach=1.0), 2 * k)
        asleep = c.simulate(drive(c, 10, 0.0, ach=1.0), 2 * k + 1)
    assert awake.level.mean() > 0.3
    assert asleep.level.mean() < -0.3


def test_silenced_cells_do_not_fire_and_only_they():
    c = cortex()
    d = drive(c, 10)
    d.gain[:, 70] = 0.0
    result = c.simulate(d, 1)
    assert 70 not in result.neuron
    assert {69, 71} <= set(result.neuron.tolist())


def test_ach_clamped_at_zero_changes_no_weights(waking):
    c, state = waking
    c.load(state)
    before = state["feedforward.w"]
    d = drive(c, 10, feedforward=1.0)
    d.clamp[:] = 0.0
    c.simulate(d, 2)
    assert np.array_equal(before, c.state()["feedforward.w"])
    d.clamp[:] = np.nan
    c.simulate(d, 3)
    assert not np.array_equal(before, c.state()["feedforward.w"])


def test_monitors_are_empty_after_a_segment():
    """SpikeMonitor.resize(0) leaves its count; the next segment would then return old spikes."""
    c = cortex()
    first = c.simulate(drive(c, 10), 1)
    assert len(first.time)
    assert len(c.monitors.objects["spikes"].t) == 0
    assert c.monitors.objects["spikes"].num_spikes == 0
    again = c.simulate(drive(c, 10), 1)
    assert again.time.max() <= 1000
    assert len(again.level) == len(first.level)


@pytest.mark.parametrize("before", [0, 3])
def test_what_cells_do_is_handed_on_every_half_second_and_nothing_is_lost(before):
    """Memory must not grow with a segment; the pieces are the whole, from any start."""
    pieces: list[Piece] = []
    result = []
    for follower in (None, Follower(pieces.append)):
        c = Cortex(protocol("spiking.segment=30").spec, 0, np.array([0, 64]))
        if before:
            c.simulate(drive(c, before), 7)
        result.append(c.simulate(drive(c, 12), 1, follower=follower))
    whole, gone = result
    assert len(gone.time) == 0
    assert max(np.ptp(p.time) for p in pieces if len(p.time)) <= 500
    assert np.array_equal(np.concatenate([p.time for p in pieces]), whole.time)
    assert np.array_equal(np.concatenate([p.neuron for p in pieces]), whole.neuron)
    read_at = np.concatenate([p.read_at for p in pieces])
    assert np.array_equal(read_at, np.arange(5, 1205, 5))
    assert np.concatenate([p.potentials["U"] for p in pieces]).shape == (240, 2)


def test_a_state_taken_up_gives_the_same_bits():
    c = cortex()
    c.simulate(drive(c, 10, feedback=1.0, ach=1.0, feedforward=1.0), 1)
    state = c.state()
    gates = {"feedback": 1.0, "ach": 1.0, "feedforward": 1.0, "homeostasis": 1.0}
    here = c.simulate(drive(c, 10, **gates), 2)
    other = cortex()
    other.load(state)
    there = other.simulate(drive(other, 10, **gates), 2)
    assert np.array_equal(here.neuron, there.neuron)
    assert np.array_equal(here.level, there.level)
    for name, values in c.state().items():
        assert np.array_equal(values, other.state()[name]), name


def test_a_state_that_does_not_fit_is_refused():
    c = cortex()
    state = c.state()
    odd = {**state, "cortex.lack": state["cortex.fired"]}
    with pytest.raises(NeuroAWSError, match=r"does not fit this version \(cortex.lack\)"):
        c.load(odd)
    odd.pop("cortex.lack")
    odd.pop("feedback.w")
    with pytest.raises(NeuroAWSError, match="feedback.w"):
        c.load(odd)


BINOCULAR = (
    "stimulus={source: patches, size: 4, eyes: binocular, count: 200, held_out: 50}",
    "network.layers=[32, 12, 6]",
    "spiking.traces=[]",
)
DONE = {
    "nothing": "{plasticity: {feedforward: 1}, in: later}",
    "block": "{block: {neuromodulator: ach}, in: later}",
    "block_homeostasis": "{block: {homeostasis: true}, in: later}",
    "clamp": "{clamp: {neuromodulator: ach}, in: later}",
    "plasticity": "{plasticity: {feedforward: 0, feedback: 0.5, discriminator: 0}, in: later}",
    "silence": "{silence: {targets: cells}, during: rem, in: later}",
    "inactivate_eye": "{inactivate_eye: {eye: right}, in: later}",
    "attenuate_eye": "{attenuate_eye: {eye: right, to: 0.0}, in: later}",
    "lid_suture": "{lid_suture: {eye: right}, in: later}",
}


def rows_under(name: str) -> Drive:
    """Return what drives the cells in a second of wake and REM under a perturbation."""
    arms = f"arms.control={{perturb: [{DONE[name]}]}}"
    d, _ = timeline(*BINOCULAR, arms).drive(33, 43, None)
    return d


@pytest.fixture(scope="module")
def plain():
    return rows_under("nothing")


@pytest.mark.parametrize("name", DONE)
def test_a_perturbation_does_what_it_says_and_nothing_else(name, plain):
    """Rows of wake, then of REM, against those of the arm to which nothing is done."""
    d = rows_under(name)
    wake, rem = slice(0, 5), slice(5, 10)
    changed = {
        gate: (d.gates[gate][wake][0], d.gates[gate][rem][0])
        for gate in GATES
        if not np.array_equal(d.gates[gate], plain.gates[gate])
    }
    assert changed == {
        "block": {"feedforward": (0, 0)},
        "block_homeostasis": {"homeostasis": (0, 0)},
        "plasticity": {"feedforward": (0, 0), "feedback": (0.5, 0), "ach": (0, 0)},
    }.get(name, {})
    assert (~np.isnan(d.clamp)).all() == (name == "clamp")
    gains = np.ones_like(plain.gain)
    if name == "silence":
        gains[rem, [[33], [36]]] = 0
    if name == "inactivate_eye":
        gains[wake, 16:32] = 0
    assert np.array_equal(d.gain, gains)
    seen = d.potential[wake, :32] != plain.potential[wake, :32]
    assert not seen[:, :16].any()
    assert seen[:, 16:].all() == ("eye" in name or name == "lid_suture")
    assert np.array_equal(d.potential[rem], plain.potential[rem])


def test_pairing_multiplies_the_gate_of_its_label_alone():
    paired = "{pair: {labels: [1], gain: 3.0}, in: later}"
    d, labels = timeline(f"arms.control={{perturb: [{paired}]}}").drive(33, 63, None)
    wake = d.wake > 0
    assert set(labels[wake]) == {0, 1}
    assert np.array_equal(d.gates["feedforward"][wake], np.where(labels[wake] == 1, 3.0, 1.0))
    assert np.array_equal(d.gates["feedback"], d.wake)


@pytest.mark.parametrize(
    ("dose", "wanted"),
    [("by: 0.5", {0: 0.5, 1: 0.5}), ("by: 0.5, labels: [1]", {0: 1.0, 1: 0.5})],
)
def test_a_dose_multiplies_the_gate_of_feedforward_plasticity_alone(dose, wanted):
    dosed = f"{{dose: {{neuromodulator: ach, {dose}}}, in: later}}"
    plain, _ = timeline("arms.control={}").drive(33, 63, None)
    d, labels = timeline(f"arms.control={{perturb: [{dosed}]}}").drive(33, 63, None)
    wake = d.wake > 0
    assert set(labels[wake]) == {0, 1}
    assert d.gates["feedforward"][wake].tolist() == [wanted[label] for label in labels[wake]]
    assert not d.gates["feedforward"][~wake].any()
    for gate in ("feedback", "ach", "homeostasis"):
        assert np.array_equal(d.gates[gate], plain.gates[gate])


def test_frozen_learns_nothing_and_homeostasis_needs_no_feedforward_plasticity():
    for algorithm, off, wanted in (("frozen", 1, 0.0), ("adversarial_wake_sleep", 0, 1.0)):
        plasticity = f"{{plasticity: {{feedforward: {off}}}, in: later}}"
        d, _ = timeline(
            f"algorithm={{name: {algorithm}}}" if algorithm == "frozen" else "name=small",
            f"arms.control={{perturb: [{plasticity}]}}",
        ).drive(33, 43, None)
        assert set(d.gates["homeostasis"][:5]) == {wanted}
        assert not d.gates["feedforward"].any()


def test_weights_are_read_as_they_were_connected():
    c = cortex("network.layers=[64, 12, 5]")
    up, down = c.objects["feedforward"], c.objects["feedback"]
    for k in (0, 5, 64 * 12, 64 * 12 + 3):
        pre, post = int(up.i[k]), int(up.j[k])
        layer = 1 if pre < 64 else 2
        found = c.weights("feedforward", layer)
        assert found[post - c.starts[layer], pre - c.starts[layer - 1]] == up.w[k]
    down.w = np.arange(len(down))
    assert c.weights("feedback", 0)[int(down.j[7]), int(down.i[7]) - 64] == 7
