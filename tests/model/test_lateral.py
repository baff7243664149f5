"""A network with lateral weights, and a rule of this test that changes them."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from neuro_aws.algorithms.base import propagate
from neuro_aws.backends.rate.engine import Engine
from neuro_aws.model.state import Delta
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDFORWARD, KINDS, LATERAL, NREM, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.conftest import TINY
from tests.engines import engine_of

HEBB = (
    "network.lateral=[1]",
    "algorithm.name=tests.model.test_lateral:Hebb",
    "algorithm.lateral.rate=0.01",
)
NAME = "lateral_in1"


class Hebb:
    """dL_i = + gate * < h_i(t) h_i(t - 1)^T >, in wake."""

    changes = {WAKE: (LATERAL,)}
    gated = (LATERAL,)

    def propagate(self, network, stimulus, phase, noise, gains):
        return propagate(network, stimulus, phase, noise, gains)

    def deltas(self, network, state, ach, phase):
        if phase is not WAKE:
            return {}
        layer = state.layers[1]
        change = layer.soma.mT @ layer.previous / len(layer.soma)
        return {LATERAL: Delta({NAME: change}, ach.gate)}


def engine(animal, *settings: str, slots: Slots | None = None, phases=(WAKE, REM)) -> Engine:
    built = animal(*HEBB, *settings)
    blocks = tuple(Block(**{phase.value: 1}) for phase in phases)
    return engine_of(built, blocks, 4, slots)


def test_potentials_get_what_the_layer_fired_in_the_step_before(animal):
    """a_1(t) = F_1 h_0 + b + sigma xi + L_1 h_1(t - 1), in wake and in dreams; 0 at the first."""
    one = engine(animal, "algorithm.lateral={rate: 1.0e-9}")
    before = torch.zeros(16, 20, dtype=torch.float64)
    for step in range(4):
        weight = one.network.parameters(LATERAL)[NAME].clone()
        state = one.step(step).state
        here, layers = state.layers[1], one.network.layers
        if state.phase is WAKE:
            drive, _ = layers[0].feedforward_potential(state.layers[0].transmitted)
        else:
            drive, _ = layers[1].feedback_potential(state.layers[2].soma)
        wanted = drive + before @ weight.T + one.network.noise.sigma * here.xi
        assert torch.allclose(here.drive.potential, wanted)
        assert torch.equal(here.previous, before)
        before = here.soma


def test_layers_without_lateral_weights_and_networks_without_compute_what_they_did(animal):
    """The lateral stream is its own: all other weights start alike, and zero weights drive nothing."""
    plain, lateral = animal().network, animal("network.lateral=[1]").network
    for kind in plain.kinds:
        assert torch.equal(plain.flat(kind), lateral.flat(kind))
    lateral.parameters(LATERAL)[NAME].zero_()
    x = torch.rand(5, 64, dtype=torch.float64)
    states = [network.with_dendrites(network.recognise(x, None)) for network in (plain, lateral)]
    for a, b in zip(*(state.layers for state in states), strict=True):
        assert torch.equal(a.soma, b.soma)


@pytest.mark.parametrize("birth", ["normal", "uniform"])
def test_initial_lateral_weights_have_the_scale_of_their_fan_in(animal, birth):
    settings = ("network.layers=[64, 150, 6]", "network.lateral=[1]", f"network.birth={birth}")
    weight = animal(*settings).network.parameters(LATERAL)[NAME]
    assert float(weight.std()) * 150**0.5 == pytest.approx(
        1 if birth == "normal" else 3**-0.5, rel=0.05
    )
    assert not torch.equal(weight, animal(*settings, seed=1).network.parameters(LATERAL)[NAME])


def test_measures_start_from_zeros_and_leave_the_state_alone(animal):
    one = engine(animal)
    x = one.dataset.held_out[:16]
    fresh = one.network.recognise(x, None).somas[1]
    weights = one.network.parameters(LATERAL)[NAME].clone()
    one.run(3)
    one.network.parameters(LATERAL)[NAME].copy_(weights)
    kept = {k: v.clone() for k, v in one.network.lateral.buffers().items()}
    assert float(kept["layer1"].abs().sum()) > 0
    assert torch.equal(one.network.recognise(x, None).somas[1], fresh)  # the run's batch is 16 too
    assert torch.equal(one.network.lateral.buffers()["layer1"], kept["layer1"])


def test_a_rule_changes_lateral_weights_and_nothing_else(animal):
    one = engine(animal)
    before = {kind: one.network.flat(kind).clone() for kind in KINDS if kind in one.network.kinds}
    one.run(4)
    moved = {kind for kind, t in before.items() if not torch.equal(t, one.network.flat(kind))}
    assert moved == {LATERAL}


@pytest.mark.parametrize("off", ["scale", "block"])
def test_a_factor_or_a_gate_of_zero_leaves_weights_and_moments(animal, off):
    class ClosedGate:
        def neuromodulator(self, signal, labels, draws):
            return replace(signal, gate=0.0)

    slots = Slots(scales={LATERAL: 0.0}) if off == "scale" else Slots(on_ach=(ClosedGate(),))
    one = engine(animal, slots=slots)
    before = one.network.flat(LATERAL).clone()
    one.run(4)
    assert torch.equal(before, one.network.flat(LATERAL))
    moments = one.updates.plasticity[LATERAL].moments
    assert moments.count == 0
    assert bool((moments.second == 0).all())


def test_a_silenced_cell_sends_nothing_to_its_neighbours(animal):
    gain = torch.ones(20, dtype=torch.float64)
    gain[:5] = 0.0
    one = engine(animal, slots=Slots(gains={1: gain}))
    first, second = one.step(0), one.step(1)
    assert bool((first.state.layers[1].soma[:, :5] == 0).all())
    assert bool((second.state.layers[1].previous[:, :5] == 0).all())
    assert float(second.state.layers[1].previous[:, 5:].abs().sum()) > 0
    change = one.network.named(LATERAL, first.changes[LATERAL])[NAME]
    assert bool((change[:5] == 0).all())


def test_state_and_moments_are_saved_and_the_run_goes_on_to_the_same_bits(animal):
    whole, broken = engine(animal), engine(animal)
    whole.run(8)
    broken.run(5)
    network = {k: v.clone() for k, v in broken.network.state_dict().items()}
    updates = broken.updates.state_dict()
    resumed = engine(animal)
    resumed.network.load_state_dict(network)
    resumed.updates.load_state_dict(updates)
    for step in range(5, 8):
        resumed.step(step)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
    forgetful = engine(animal)
    forgetful.network.load_state_dict(network)
    forgetful.network.reset()
    forgetful.updates.load_state_dict(updates)
    for step in range(5, 8):
        forgetful.step(step)
    assert not torch.equal(forgetful.network.flat(LATERAL), whole.network.flat(LATERAL))


def test_a_run_records_them(tmp_path: Path):
    from neuro_aws import Options, open_run, run

    text = TINY.replace(
        "rem_silenced: {perturb: [{silence: {targets: cells}, during: rem, in: critical_period}]}",
        "held: {perturb: [{plasticity: {lateral: 0}, in: critical_period}]}",
    )
    protocol = Protocol.from_text(text, "lateral.yaml", HEBB, allow_code=True)
    done = open_run(run(protocol, options=Options(out=str(tmp_path), jobs=1)).folder)
    with h5py.File(done.folder / "recording.h5") as file:
        control, held = file["s0/control"], file["s0/held"]
        assert control[f"weights/{NAME}"].shape[1:] == (20, 20)
        assert float(np.abs(control["plasticity/layer1/lateral_applied"][:]).max()) > 0
        assert float(np.abs(held["plasticity/layer1/lateral_raw"][:]).max()) > 0
        assert float(np.abs(held["plasticity/layer1/lateral_applied"][:]).max()) == 0
        assert not np.array_equal(control[f"weights/{NAME}"][0], control[f"weights/{NAME}"][-1])
        assert np.array_equal(held[f"weights/{NAME}"][0], held[f"weights/{NAME}"][-1])


def test_settings_that_need_lateral_weights_are_refused_without():
    from neuro_aws.errors import NeuroAWSError

    arm = "control: {perturb: [{plasticity: {lateral: 0}, in: critical_period}]}"
    cases = [
        (TINY.replace("control: {}", arm), ()),
        (TINY, ("schedule.0.lateral_plasticity=0.5",)),
        (TINY, ("network.lateral=[1]", "algorithm.lateral={rate: 0.01}")),
    ]
    for text, settings in cases:
        with pytest.raises(NeuroAWSError, match="lateral"):
            Protocol.from_text(text, "lateral.yaml", settings)


def test_the_theories_here_leave_lateral_weights_alone(animal):
    built = animal("network.lateral=[1]")
    before = built.network.flat(LATERAL).clone(), built.network.flat(FEEDFORWARD).clone()
    blocks = tuple(Block(**{phase.value: 1}) for phase in (WAKE, NREM, REM))
    engine_of(built, blocks, 2).run(6)
    assert torch.equal(before[0], built.network.flat(LATERAL))
    assert not torch.equal(before[1], built.network.flat(FEEDFORWARD))
