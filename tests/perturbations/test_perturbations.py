"""What each perturbation does, to whom, and what it leaves alone."""

import pytest
import torch

from neuro_aws import Options, run
from neuro_aws.backends.rate.build import build_animal
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.perturbations import slots
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, KINDS, NREM, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.targets import resolve
from tests.branches import branch, finish
from tests.conftest import TINY

BINOCULAR = TINY.replace(
    "source: digits", "source: patches, eyes: binocular, size: 4, count: 300, held_out: 60"
).replace("[64, 20, 6]", "[32, 20, 6]")


class Lab:
    """One animal under one perturbation, ready to take single steps."""

    def __init__(self, perturb: str, *overrides: str, text: str = TINY) -> None:
        text = text.replace(
            "{silence: {targets: cells}, during: rem, in: critical_period}", perturb
        )
        self.protocol = Protocol.from_text(text, "lab", ["network.precision=float64", *overrides])
        self.arm = self.protocol.tree.arms["rem_silenced"]
        self.built = build_animal(self.arm.spec, 0, torch.device("cpu"))
        self.engine = Engine(
            self.built.network,
            self.built.algorithm,
            self.built.updates,
            self.built.dataset,
            self.arm.schedule,
            Streams(0, torch.float64, torch.device("cpu")),
            16,
            self._slots,
        )
        self.perturbed = True

    def _slots(self, spec):
        active = self.arm.active(spec.period, spec.cycle, spec.phase) if self.perturbed else ()
        usual = self.arm.schedule.stretches[spec.period].scales
        return slots(active, spec.phase, usual, self.arm.spec, self.built.dataset, 0)

    def step(self, phase):
        """Take the first step of a phase in the critical period."""
        first = self.arm.branch
        step = next(s for s in range(first, first + 30) if self.engine.schedule(s).phase is phase)
        return self.engine.step(step)

    def both(self, phase):
        """Return the same step unperturbed and perturbed, from the same weights."""
        saved = {k: v.clone() for k, v in self.built.network.state_dict().items()}
        self.perturbed = False
        plain = self.step(phase)
        self.built.network.load_state_dict(saved)
        self.perturbed = True
        return plain, self.step(phase)


@pytest.mark.parametrize("by", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("when", ["rem", "wake", "nrem"])
def test_scaling_reaches_its_targets_and_not_their_neighbours(by, when):
    lab = Lab(f"{{scale: {{targets: cells, by: {by}}}, during: {when}, in: critical_period}}")
    ids = list(lab.protocol.targets(0)["cells"].ids)
    others = [i for i in range(20) if i not in ids]
    for phase in (WAKE, REM, NREM):
        plain, perturbed = lab.both(phase)
        a, b = plain.state.layers[1].soma, perturbed.state.layers[1].soma
        factor = by if phase == when else 1.0
        assert torch.allclose(b[:, ids], factor * a[:, ids])
        assert torch.equal(b[:, others], a[:, others])


def test_silencing_in_rem_perturbs_what_is_dreamt_below():
    plain, silenced = Lab("{silence: {targets: cells}, during: rem, in: critical_period}").both(REM)
    assert not torch.allclose(plain.state.layers[0].soma, silenced.state.layers[0].soma)
    assert torch.equal(plain.state.layers[2].soma, silenced.state.layers[2].soma)


def test_before_normalisation_the_spared_cells_fill_the_gap():
    lab = Lab(
        "{silence: {targets: cells}, during: wake, in: critical_period}",
        "network.perturb_activity=before_normalisation",
    )
    plain, silenced = lab.both(WAKE)
    ids = list(lab.protocol.targets(0)["cells"].ids)
    a, b = plain.state.layers[1].soma, silenced.state.layers[1].soma
    assert bool((b[:, ids] == 0).all())
    assert bool((b.sum(1) >= 0).all())
    assert torch.allclose(b.square().mean(1), torch.ones(16, dtype=torch.float64), atol=1e-4)
    assert not torch.allclose(a.sum(1), b.sum(1))


@pytest.mark.parametrize(
    "cells", ["layer: 1, ids: [3, 7]", "layer: 2, all: true", "layer: 0, ids: [5]"]
)
def test_any_layer_and_explicit_ids(cells):
    lab = Lab(f"{{silence: {{{cells}}}, during: rem, in: critical_period}}")
    state = lab.step(REM).state
    layer = int(cells[7])
    ids = {"layer: 1, ids: [3, 7]": [3, 7], "layer: 0, ids: [5]": [5]}.get(cells, list(range(6)))
    assert bool((state.layers[layer].soma[:, ids] == 0).all())
    rest = [i for i in range(state.layers[layer].soma.shape[1]) if i not in ids]
    assert bool((state.layers[layer].soma[:, rest] != 0).any()) or not rest


def test_the_run_itself_checks_its_targets(tmp_path, tiny):
    finish(branch(tiny, tmp_path))
    one = branch(tiny, tmp_path, "rem_silenced")
    wrong = one.simulator._make_slots(1, REM, (0,))
    wrong.gains[1] = torch.roll(wrong.gains[1], 1)  # the neighbours instead
    one.simulator._slots_of = lambda *key: wrong
    with pytest.raises(NeuroAWSError, match="silenced and still fire|did not do"):
        finish(one)


@pytest.mark.parametrize("credit", ["layer", "scalar", "backprop", "layer_random"])
def test_clamped_ach_teaches_nothing_and_d_goes_on(credit):
    lab = Lab(
        "{clamp: {neuromodulator: ach}, in: critical_period}",
        f"algorithm.credit={credit}",
        "algorithm.kl=0",
    )
    moment = lab.step(WAKE)
    assert all(bool((t == 0).all()) for t in moment.deltas[FEEDFORWARD].tensors.values())
    assert bool((moment.ach.release == 0).all())
    assert bool((moment.ach.own.reading.level != 0).any())
    assert any(bool((t != 0).any()) for t in moment.deltas[DISCRIMINATOR].tensors.values())
    assert float(moment.ach.gate) == 1.0


def test_clamped_running_scalar_teaches_nothing_either():
    lab = Lab(
        "{clamp: {neuromodulator: ach}, in: critical_period}",
        "algorithm.credit=scalar",
        "algorithm.baseline=running",
        "algorithm.kl=0",
    )
    assert all(bool((t == 0).all()) for t in lab.step(WAKE).deltas[FEEDFORWARD].tensors.values())


def test_a_clamp_may_hold_the_discriminator():
    lab = Lab(
        "{clamp: {neuromodulator: ach, discriminator: held}, in: critical_period}",
        "algorithm.discriminator.apply=step",
    )
    assert DISCRIMINATOR not in lab.step(WAKE).changes


def test_blocked_ach_moves_no_feedforward_weight_and_leaves_d_and_teaching():
    lab = Lab("{block: {neuromodulator: ach}, in: critical_period}")
    plain, blocked = lab.both(WAKE)
    assert FEEDFORWARD not in blocked.changes
    assert FEEDBACK in blocked.changes
    assert torch.equal(plain.ach.teaching[1], blocked.ach.teaching[1])
    assert float(blocked.ach.gate) == 0.0


@pytest.mark.parametrize(
    ("perturb", "in_rem"),
    [
        ("{block: {neuromodulator: ach}, in: critical_period}", True),
        ("{plasticity: {feedforward: 0}, in: critical_period}", False),
    ],
)
def test_in_the_doubly_adversarial_form_the_gate_holds_f_in_wake_alone(perturb, in_rem):
    """F learns from R in REM, where ACh is low: only a factor on plasticity stops that."""
    lab = Lab(perturb, "algorithm={name: doubly_adversarial, feedforward: {apply: step}}")
    assert FEEDFORWARD not in lab.step(WAKE).changes
    moment = lab.step(REM)
    assert (FEEDFORWARD in moment.changes) == in_rem
    assert float(moment.deltas[FEEDFORWARD].tensors["feedforward_into1"].norm()) > 0


def test_pairing_multiplies_the_gate_of_the_chosen_stimuli_only():
    lab = Lab("{pair: {labels: [3], gain: 5}, in: critical_period}")
    moment = lab.step(WAKE)
    draws = lab.engine.streams.stimulus.at(moment.spec.step)
    _, labels = lab.built.dataset.sample(draws, 16)
    assert torch.equal(moment.ach.gate, 1 + 4 * (labels == 3).double())
    all_paired = Lab("{pair: {labels: [0,1,2,3,4,5,6,7,8,9], gain: 5}, in: critical_period}")
    plain, paired = all_paired.both(WAKE)
    assert (
        paired.changes[FEEDFORWARD].norm() > 2 * plain.changes[FEEDFORWARD].norm()
    )  # 5 x, up to Adam's memory of the step before


@pytest.mark.parametrize("order", [1, -1])
def test_blocking_beats_pairing(order):
    both = [
        "{pair: {labels: [3], gain: 5}, in: critical_period}",
        "{block: {neuromodulator: ach}, in: critical_period}",
    ]
    lab = Lab(", ".join(both[::order]))
    assert FEEDFORWARD not in lab.step(WAKE).changes
    assert lab.built.updates.plasticity[FEEDFORWARD].moments.count == 0


LEARNING = {
    "sgd": "{optimiser: sgd, rate: 1.0e-3}",
    "adam": "{optimiser: adam, rate: 1.0e-3}",
    "adam once a cycle": "{optimiser: adam, rate: 1.0e-3, apply: cycle}",
}


def under(*perturb: str, learning: str = "adam") -> Lab:
    """Return a lab that has taken two steps, so that moments are those of a run."""
    lab = Lab(", ".join(perturb), f"algorithm.feedforward={LEARNING[learning]}")
    lab.moments = [lab.engine.step(lab.arm.branch + k) for k in range(2)]
    return lab


def applied(lab: Lab) -> torch.Tensor:
    return sum(m.changes[FEEDFORWARD] for m in lab.moments if FEEDFORWARD in m.changes)


PLAIN = "{plasticity: {feedforward: 1}, in: critical_period}"


@pytest.mark.parametrize("learning", LEARNING)
@pytest.mark.parametrize("by", [0.25, 0.5, 2, 64])
def test_a_dose_multiplies_the_applied_change_exactly(learning, by):
    """After the optimiser: Adam would undo a factor before it. Powers of 2 leave no rounding."""
    dose = f"{{dose: {{neuromodulator: ach, by: {by}}}, in: critical_period}}"
    plain, dosed = under(PLAIN, learning=learning), under(dose, learning=learning)
    assert torch.equal(applied(dosed), by * applied(plain))
    assert float(applied(plain).norm()) > 0
    a, b = (lab.moments[0] for lab in (plain, dosed))
    assert (float(a.ach.gate), float(b.ach.gate)) == (1.0, by)
    for name, tensor in a.deltas[FEEDFORWARD].tensors.items():
        assert torch.equal(tensor, b.deltas[FEEDFORWARD].tensors[name])
    for kind in (FEEDBACK, DISCRIMINATOR):
        for one, other in zip(plain.moments, dosed.moments, strict=True):
            assert torch.equal(one.changes.get(kind, NONE), other.changes.get(kind, NONE))


NONE = torch.zeros(0)
EVERY = "labels: [0,1,2,3,4,5,6,7,8,9]"


@pytest.mark.parametrize("labels", ["", ", labels: [3]", f", {EVERY}"])
def test_a_dose_of_one_changes_nothing_to_the_bit(labels):
    dose = f"{{dose: {{neuromodulator: ach, by: 1{labels}}}, in: critical_period}}"
    plain, dosed = under(PLAIN), under(dose)
    wanted = plain.built.network.state_dict()
    for name, tensor in dosed.built.network.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name


def test_a_dose_by_label_is_a_pairing_that_may_be_less():
    lab = under("{dose: {neuromodulator: ach, by: 0.25, labels: [3, 5]}, in: critical_period}")
    draws = lab.engine.streams.stimulus.at(lab.arm.branch)
    _, labels = lab.built.dataset.sample(draws, 16)
    chosen = (labels == 3) | (labels == 5)
    assert torch.equal(lab.moments[0].ach.gate, 1 - 0.75 * chosen.double())
    dosed = under("{dose: {neuromodulator: ach, by: 5, labels: [3]}, in: critical_period}")
    paired = under("{pair: {labels: [3], gain: 5}, in: critical_period}")
    assert torch.equal(applied(dosed), applied(paired))
    every = under(f"{{dose: {{neuromodulator: ach, by: 0.5, {EVERY}}}, in: critical_period}}")
    assert torch.allclose(applied(every), 0.5 * applied(under(PLAIN)), rtol=1e-12)


@pytest.mark.parametrize("order", [1, -1])
def test_a_dose_composes_with_pairing_and_with_blocking(order):
    dose = "{dose: {neuromodulator: ach, by: 0.5}, in: critical_period}"
    pair = "{pair: {labels: [3], gain: 5}, in: critical_period}"
    block = "{block: {neuromodulator: ach}, in: critical_period}"
    both, paired = under(*[dose, pair][::order]), under(pair)
    assert torch.equal(both.moments[0].ach.gate, 0.5 * paired.moments[0].ach.gate)
    assert torch.allclose(applied(both), 0.5 * applied(paired), rtol=1e-12)
    blocked = under(*[dose, block][::order])
    assert float(blocked.moments[0].ach.gate) == 0
    assert not any(FEEDFORWARD in moment.changes for moment in blocked.moments)
    assert blocked.built.updates.plasticity[FEEDFORWARD].moments.count == 0


def test_doses_of_different_labels_act_together_and_of_one_label_do_not():
    few = "{dose: {neuromodulator: ach, by: 0.5, labels: [0, 1, 2, 3, 4]}, in: critical_period}"
    many = "{dose: {neuromodulator: ach, by: 2, labels: [5, 6, 7, 8, 9]}, in: critical_period}"
    gate = under(few, many).moments[0].ach.gate
    assert set(gate.tolist()) == {0.5, 2.0}
    with pytest.raises(ProtocolError, match="overlaps another dose"):
        under(few, many.replace("[5,", "[4, 5,"))


def test_the_stimulus_can_be_scaled_in_wake_too():
    lab = Lab("{scale: {layer: 0, ids: [20], by: 3}, during: wake, in: critical_period}")
    plain, scaled = lab.both(WAKE)
    a, b = plain.state.layers[0].soma, scaled.state.layers[0].soma
    assert torch.equal(b[:, 20], 3 * a[:, 20])
    assert torch.equal(b[:, 21:], a[:, 21:])
    assert not torch.equal(plain.state.layers[1].soma, scaled.state.layers[1].soma)


def own_teaching(moment):
    return moment.ach.own.gradient


def test_shuffled_teaching_is_another_samples_and_random_has_its_size():
    shuffled = Lab("{yoke: {teaching: shuffled}, in: critical_period}").step(WAKE)
    for sent, own in zip(shuffled.ach.teaching, own_teaching(shuffled), strict=True):
        assert not torch.equal(sent, own)
        assert torch.allclose(sent.sum(0), own.sum(0))
    random = Lab("{yoke: {teaching: random}, in: critical_period}").step(WAKE)
    for sent, own in zip(random.ach.teaching, own_teaching(random), strict=True):
        assert torch.allclose(sent.norm(dim=-1), own.norm(dim=-1))
        cosine = torch.cosine_similarity(sent, own, -1).mean()
        assert abs(float(cosine)) < 0.5


def test_plasticity_is_scaled_by_projection():
    lab = Lab(
        "{plasticity: {feedforward: 0.5, discriminator: 0}, in: critical_period}",
        "algorithm.discriminator.apply=step",
    )
    changes = lab.step(WAKE).changes
    whole = (
        Lab(
            "{plasticity: {feedforward: 1}, in: critical_period}",
            "algorithm.discriminator.apply=step",
        )
        .step(WAKE)
        .changes
    )
    assert DISCRIMINATOR not in changes
    assert torch.allclose(2 * changes[FEEDFORWARD], whole[FEEDFORWARD])
    assert torch.equal(changes[FEEDBACK], whole[FEEDBACK])


@pytest.mark.parametrize(
    ("perturb", "closed"),
    [
        ("{inactivate_eye: {eye: left}, in: critical_period}", lambda x, y: (y == 0).all()),
        (
            "{attenuate_eye: {eye: left, to: 0.3}, in: critical_period}",
            lambda x, y: torch.allclose(y, 0.3 * x),
        ),
        (
            "{lid_suture: {eye: left, strength: 0.5}, in: critical_period}",
            lambda x, y: (
                0.3 < float(y.std() / x.std()) < 0.8
                and abs(float(torch.corrcoef(torch.stack([x.ravel(), y.ravel()]))[0, 1])) < 0.3
            ),
        ),
    ],
)
def test_one_eye_is_closed_and_the_other_sees_as_before(perturb, closed):
    lab = Lab(perturb, text=BINOCULAR)
    plain, deprived = lab.both(WAKE)
    x, y = plain.state.layers[0].soma, deprived.state.layers[0].soma
    assert bool(closed(x[:, :16], y[:, :16]))
    assert torch.equal(x[:, 16:], y[:, 16:])
    plain, deprived = lab.both(REM)
    assert torch.equal(plain.state.layers[0].soma, deprived.state.layers[0].soma)


def test_perturbations_of_four_slots_compose():
    lab = Lab(
        "{silence: {targets: cells}, during: rem, in: critical_period}, "
        "{clamp: {neuromodulator: ach}, in: critical_period}, "
        "{plasticity: {feedback: 0.5}, in: critical_period}, "
        "{attenuate_eye: {eye: right, to: 0.1}, in: critical_period}",
        text=BINOCULAR,
    )
    wake, rem = lab.step(WAKE), lab.step(REM)
    assert float(wake.ach.release.abs().sum()) == 0
    assert bool(
        (rem.state.layers[1].soma[:, list(lab.protocol.targets(0)["cells"].ids)] == 0).all()
    )
    factors = {kind: 1.0 for kind in KINDS if kind != READOUT} | {FEEDBACK: 0.5}
    assert wake.slots.scales == factors


def test_nothing_a_perturbation_draws_is_missing_elsewhere():
    """Two scalings of one: the noise, the stimuli and the prior of both arms are the same."""
    lab = Lab(
        "{lid_suture: {eye: left}, in: critical_period}, "
        "{yoke: {teaching: random}, in: critical_period}",
        text=BINOCULAR,
    )
    for phase in (WAKE, REM):
        plain, perturbed = lab.both(phase)
        for a, b in zip(plain.state.layers, perturbed.state.layers, strict=True):
            assert (a.xi is None and b.xi is None) or torch.equal(a.xi, b.xi)


def test_own_factors_and_silencing_act_on_one_layer_together(tmp_path):
    """The check of targets must not take the user's own factors for a fault."""
    (tmp_path / "my_code.py").write_text(
        "import numpy as np\n\n\nclass Half:\n"
        "    def activity(self, sizes):\n        return {1: np.full(sizes[1], 0.5)}\n"
    )
    both = "rem_silenced: {perturb: [{apply: {code: 'my_code:Half'}, in: critical_period}, "
    (tmp_path / "p.yaml").write_text(TINY.replace("rem_silenced: {perturb: [", both))
    every = ["record.activity=[{layer: 1, every: 1}]"]
    protocol = Protocol.load(tmp_path / "p.yaml", every, allow_code=True)
    done = run(protocol, options=Options(out=str(tmp_path), jobs=1, arms=("rem_silenced",)))
    seen = done.activity(0, "rem_silenced", 1)
    phase = done.traces(0, "rem_silenced").phase.sel(step=seen.step)
    dreaming = seen.soma[(seen.step >= protocol.tree.arms["rem_silenced"].branch) & (phase == 2)]
    silent = list(
        resolve(protocol.spec.arms["rem_silenced"].perturb[1].cells, protocol.spec, 0).ids
    )
    assert len(dreaming) > 0
    assert not dreaming[:, silent].any()
    assert dreaming.any()
