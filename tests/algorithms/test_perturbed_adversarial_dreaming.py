"""Perturbed and adversarial dreaming: gradients of every phase, memory, silencing, refusals."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from neuro_aws.algorithms.perturbed_adversarial_dreaming import BEFORE, LATENT
from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.engine import Engine
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.perturbations import Slots
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from neuro_aws.recording.writer import Discard
from tests.conftest import TINY
from tests.engines import engine_of
from tests.reference.autograd import kl
from tests.reference.passes import Account, Logged, assert_same, one_step, rows_of

NAME = "algorithm.name=perturbed_adversarial_dreaming"
PLAIN = (NAME, "network.prior=standard")
GIVEN = (*PLAIN, "network.noise.scale=0.3")
FACTORS = ("wake=1.5", "nrem=0.7", "rem=0.4", "kl=0.6", "latent_noise=0.2", "occluder=-0.3")
WEIGHED = tuple(f"algorithm.{factor}" for factor in FACTORS)
GAINS = {0: torch.ones(64).double(), 1: torch.ones(20).double(), 2: torch.ones(6).double()}
GAINS[0][:9], GAINS[1][3:8], GAINS[1][9], GAINS[2][2], GAINS[2][0] = 0, 0, 2, 0, 1.5


@pytest.fixture
def remembering(animal):
    """Return an animal that remembers two wake steps."""
    built = animal(*GIVEN, *WEIGHED)
    built.algorithm.memory |= {LATENT: rows_of(2, 6), BEFORE: rows_of(3, 6)}
    with torch.no_grad():
        for kind in (FEEDFORWARD, FEEDBACK, READOUT):  # biases matter too
            for tensor in built.network.parameters(kind).values():
                tensor.add_(
                    0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(4))
                )
    return built


@pytest.mark.parametrize("gains", [GAINS, {}], ids=["silenced", "plain"])
class TestGradients:
    def test_wake_is_an_autoencoder_with_an_external_output(self, remembering, gains):
        x = remembering.dataset.train[:16]
        state, deltas, own = one_step(remembering, WAKE, x, gains=gains)
        x = x * gains.get(0, 1.0)
        somata = own.up(x, gains)
        z = somata[-1] + 0.2 * own.draw() * gains.get(2, 1.0)
        back = own.down(z, gains, noisy=False)[0]
        loss = 1.5 * (x - back).square().mean() + 0.6 * kl(somata[-1]) / 6
        loss = loss + 0.4 * bce(own.external(somata[1]), torch.ones(16).double())
        for kind in (FEEDFORWARD, FEEDBACK, READOUT):
            assert_same(deltas[kind], own.descent(loss, kind))
        assert torch.allclose(state.somas[-1], somata[-1])

    def test_nrem_teaches_e_what_was_replayed(self, remembering, gains):
        state, deltas, own = one_step(remembering, NREM, rows_of(5, 6), gains=gains)
        z = remembering.algorithm.memory[LATENT] * gains.get(2, 1.0)
        x = own.down(z, gains, noisy=True)[0].detach()
        rate, side, drawn = own.draw(), own.draw(), own.draw()
        for sample in range(16):
            tile = 1 + int(side[sample] * 2)  # a quarter of 8 pixels at most
            for row in range(8):
                for column in range(8):
                    corner = (row // tile) * 8 + column // tile
                    if drawn[sample, corner] < rate[sample]:
                        x[sample, row * 8 + column] = -0.3
        above = {i: g for i, g in gains.items() if i}
        loss = 0.7 * (own.up(x, above)[-1] - z).square().mean()
        assert set(deltas) == {FEEDFORWARD}
        assert_same(deltas[FEEDFORWARD], own.descent(loss, FEEDFORWARD))

    def test_rem_turns_the_sign_on_its_way_into_g(self, remembering, gains):
        state, deltas, own = one_step(remembering, REM, rows_of(5, 6), gains=gains)
        latent, before = (remembering.algorithm.memory[name] for name in (LATENT, BEFORE))
        mixed = 0.25 * latent + 0.25 * before + 0.5 * own.draw()
        x = own.down(mixed * gains.get(2, 1.0), gains, noisy=True)[0]
        below = own.up(x, {i: g for i, g in gains.items() if i}, until=1)[-1]
        loss = 0.4 * bce(own.external(below), torch.zeros(16).double())
        for kind in (FEEDFORWARD, READOUT):
            assert_same(deltas[kind], own.descent(loss, kind))
        assert_same(deltas[FEEDBACK], own.descent(-loss, FEEDBACK))
        assert DISCRIMINATOR in deltas


def test_absolute_errors_and_sums_over_units(animal):
    built = animal(*GIVEN, "algorithm.density=laplacian", "algorithm.reduction=sum")
    x = built.dataset.train[:16]
    _, deltas, own = one_step(built, WAKE, x, gains={})
    somata = own.up(x, {})
    back = own.down(somata[-1], {}, noisy=False)[0]
    loss = (x - back).abs().sum(1).mean() + kl(somata[-1])
    assert_same(deltas[FEEDBACK], own.descent(loss, FEEDBACK))
    loss = loss + bce(own.external(somata[1]), torch.ones(16).double())
    assert_same(deltas[FEEDFORWARD], own.descent(loss, FEEDFORWARD))


def test_its_objective_is_what_wake_descends_but_for_d(animal):
    built = animal(*PLAIN, *WEIGHED, "network.noise.scale=0")
    x = built.dataset.held_out
    own = Account(built.network, iter(lambda: 0.0, None))
    own.draw = lambda noisy=True: 0.0
    somata = own.up(x, {})
    wanted = (x - own.down(somata[-1], {}, noisy=False)[0]).square().mean() + 0.6 * kl(
        somata[-1]
    ) / 6
    with torch.no_grad():
        found = built.algorithm.objective(built.network, x, Logged(0))
    assert float(found) == pytest.approx(wanted.item(), rel=1e-12)


@pytest.mark.parametrize("phase", [WAKE, NREM, REM])
def test_what_silences_cells_reaches_them_in_every_pass(animal, phase):
    built = animal(*GIVEN, "network.normalisation=none")
    one = engine_of(built, (Block(wake=1),), 2)
    one.step(0)
    one.step(1)
    silenced = {1: torch.ones(20).double(), 2: torch.ones(6).double()}
    silenced[1][:7], silenced[2][:2] = 0, 0
    given = built.dataset.train[:16] if phase is WAKE else rows_of(5, 6)
    state, deltas, _ = one_step(built, phase, given, gains=silenced)
    passes = (state, *state.passes, state.graph.up, state.graph.down)
    assert len(passes) == (3 if phase is WAKE else 4)
    for passed in passes:
        for layer, count in ((1, 7), (2, 2)):
            for there in passed.layers[layer : layer + 1]:  # d's pass ends below the top
                assert bool((there.soma[:, :count] == 0).all())
                assert bool((there.soma[:, count:] != 0).any())
    incoming = deltas[FEEDFORWARD].tensors["feedforward_into1"]
    assert bool((incoming[:7] == 0).all())  # no pool is shared here
    assert bool((incoming[7:] != 0).any())


def test_what_is_replayed_and_mixed(animal):
    """Prior draws before the first wake step; then z, for z' too until there are two."""
    built = animal(*PLAIN, "network.noise.scale=0")
    one = engine_of(built, (Block(nrem=1), Block(rem=1), Block(wake=1)), 3)
    moments = [one.step(step) for step in range(9)]
    tops = [moment.state.somas[-1] for moment in moments]
    mixed = [one.streams.noise.at(step).normal(tops[0].shape) / 2 for step in range(9)]
    prior = one.streams.prior.at(0).normal(tops[0].shape)
    assert torch.equal(tops[0], prior)
    prior = one.streams.prior.at(1).normal(tops[0].shape)
    assert torch.allclose(tops[1], prior / 2 + mixed[1])
    assert torch.equal(tops[3], tops[2])
    assert torch.allclose(tops[4], tops[2] / 2 + mixed[4])
    assert torch.equal(tops[6], tops[5])
    assert torch.allclose(tops[7], tops[5] / 4 + tops[2] / 4 + mixed[7])


def test_measured_dreams_are_those_of_rem(animal):
    built = animal(*PLAIN, "network.noise.scale=0")
    latent, before = rows_of(2, 6), rows_of(3, 6)
    built.algorithm.memory |= {LATENT: latent, BEFORE: before}
    noise = Logged(0)
    top = built.algorithm.dream(built.network, 40, noise, {}).somas[-1]
    rest = top - noise.drawn[0] / 2
    assert torch.allclose(rest[:16], latent / 4 + before / 4)
    assert torch.allclose(rest[16:31], latent[:15] / 4 + before[1:] / 4)
    assert torch.allclose(rest[32:38], latent[:6] / 4 + before[2:8] / 4)


PROTOCOL = (
    TINY.replace("preset: without_homeostasis", "network: {}")
    .replace(
        "network: {layers: [64, 20, 6], discriminator: {hidden: 8}}\n",
        "algorithm: {name: perturbed_adversarial_dreaming}\n",
    )
    .replace("network: {}", "network: {layers: [64, 20, 6], discriminator: {hidden: 8}}")
    .replace(
        "phases: [{repeat: 3, phases: [{wake: 1}, {rem: 1}]}, {nrem: 1}]",
        "phases: [{nrem: 1}, {rem: 1}, {wake: 1}]",
    )
)


def simulator(branch: str) -> RateSimulator:
    return RateSimulator(Protocol.from_text(PROTOCOL, "tiny.yaml"), branch, 0)


def states_equal(one: RateSimulator, other: RateSimulator) -> bool:
    mine, its = one.state_dict(), other.state_dict()
    return mine.keys() == its.keys() and all(np.array_equal(mine[n], its[n]) for n in mine)


@pytest.mark.parametrize("stop", [5, 6, 7])
def test_a_run_resumed_between_wake_and_sleep_is_the_unbroken_one(stop):
    unbroken = simulator("control")
    unbroken.advance(0, 30, Discard(), lambda: False)
    trunk = next(iter(Protocol.from_text(PROTOCOL, "tiny.yaml").tree.trunks))
    broken = simulator(trunk)
    broken.advance(0, stop, Discard(), lambda: False)
    saved = broken.state_dict()
    assert any(name.endswith(LATENT) for name in saved)
    for again in (simulator(trunk), simulator("control")):  # resumed, and as an arm
        again.load_state_dict(saved)
        again.advance(stop, 18, Discard(), lambda: False)
        arm = simulator("control")
        arm.load_state_dict(again.state_dict())
        arm.advance(18, 30, Discard(), lambda: False)
        assert states_equal(arm, unbroken)
    forgetful = simulator("control")
    forgetful.load_state_dict({n: v for n, v in saved.items() if not n.startswith("algorithm/")})
    forgetful.advance(stop, 30, Discard(), lambda: False)
    assert not states_equal(forgetful, unbroken)


def test_a_factor_of_0_teaches_nothing_in_that_phase(animal):
    built = animal(*GIVEN, "algorithm.nrem=0", "algorithm.rem=0")
    one = engine_of(built, (Block(wake=1), Block(nrem=1), Block(rem=1)), 2)
    kinds = [set(one.step(step).deltas) for step in range(6)]
    assert kinds[3:] == [{FEEDFORWARD, FEEDBACK, DISCRIMINATOR}, set(), {DISCRIMINATOR}]


def test_drives_adapt_in_nrem_where_it_teaches_and_only_there(animal):
    for name, adapts in ((NAME, True), ("algorithm.name=wake_sleep", False)):
        built = animal(name, "network.homeostasis={over: time, steps: 10}")
        engine_of(built, (Block(wake=1),), 1).step(0)
        before = {n: t.clone() for n, t in built.network.state_dict().items() if "layer" in n}
        engine_of(built, (Block(nrem=1),), 1).step(0)
        moved = {n for n, t in before.items() if not torch.equal(t, built.network.state_dict()[n])}
        assert any("running_mean" in n for n in moved) == adapts
        assert any("dream_mean" in n for n in moved) == adapts


def test_the_statistics_of_g_follow_its_pass_in_wake_too(animal):
    """Without it an arm that never dreams would reconstruct by statistics that nobody brings up."""
    built = animal(NAME, "network.homeostasis={over: time, steps: 10}")
    kept = built.network.state_dict()["layer1.dream_mean"]
    assert not kept.any()
    engine_of(built, (Block(wake=1),), 1).step(0)
    assert bool((built.network.state_dict()["layer1.dream_mean"] != 0).all())


def test_a_memory_is_not_shared_by_processes(animal):
    built = animal(*GIVEN)
    with pytest.raises(NeuroAWSError, match="has a memory that several processes cannot share"):
        Engine(
            built.network,
            built.algorithm,
            built.updates,
            built.dataset,
            None,
            None,
            16,
            lambda spec: Slots(),
            team=Team(0, 2),
        )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("network.layers=[64, 6]", "targets.cells.layer=0"), "reads the layer below the top"),
        (("network.memory={hopfield: continuous}",), "leave memory out"),
        (
            ("stimulus={source: patches, eyes: binocular, size: 8}", "network.layers=[128, 20, 6]"),
            "has no single pictures",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(settings, says):
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(TINY, "tiny.yaml", (NAME, *settings))
