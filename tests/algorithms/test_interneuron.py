"""Interneurons as discriminators: their plasticity and what they teach, against autograd."""

import importlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from neuro_aws.algorithms.base import propagate
from neuro_aws.functional.interneurons import Interneurons, hebbian_plasticity, votes
from neuro_aws.perturbations import Slots
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, INTERNEURONS, NREM, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.conftest import ROOT, TINY
from tests.engines import engine_of
from tests.reference import autograd

NAME = "algorithm.name=interneuron"
FEW = "algorithm.interneurons.count=6"
OPPOSED = "algorithm.interneurons.opposed=0.5"


def evidence(weights, i, below, own, opposed=0.5):
    """E of each sample, from the definition: sum_m s_m log(1 + exp(u_m . [x; h; 1]))."""
    below_w, own_w, bias = (
        weights[f"interneurons_of{i}_{part}"] for part in ("below", "own", "bias")
    )
    total = 0.0
    for m in range(len(bias)):
        a = below @ below_w[m] + own @ own_w[m] + bias[m]
        vote = 1.0 if m < len(bias) - round(opposed * len(bias)) else -1.0
        total = total + vote * torch.log1p(torch.exp(a))
    return total


def stepped(built, phase):
    """Return the moment of a step of one phase, after a few pairs."""
    one = engine_of(built, (Block(wake=1), Block(rem=1), Block(nrem=1)), cycles=4)
    moments = [one.step(step) for step in range(9)]
    weights = {k: v.clone() for k, v in built.network.parameters(INTERNEURONS).items()}
    forward = {k: v.clone() for k, v in built.network.parameters(FEEDFORWARD).items()}
    for step in (9, 10, 11):
        moment = one.step(step)
        if moment.spec.phase is phase:
            return moment, weights, forward
        weights = {k: v.clone() for k, v in built.network.parameters(INTERNEURONS).items()}
        forward = {k: v.clone() for k, v in built.network.parameters(FEEDFORWARD).items()}
    raise AssertionError(moments)


@pytest.mark.parametrize("phase", [WAKE, REM])
def test_interneurons_climb_the_evidence_in_wake_and_descend_it_in_rem(animal, phase):
    built = animal(NAME, FEW, OPPOSED, "algorithm.interneurons.length=0.7")
    moment, weights, _ = stepped(built, phase)
    leaves = {k: v.requires_grad_() for k, v in weights.items()}
    somas = [h.clone() for h in moment.state.somas]
    sign = 1.0 if phase is WAKE else -1.0
    scaling, total = 0.1, 0.0
    for i in (1, 2):
        total = total + sign * evidence(leaves, i, somas[i - 1], somas[i]).mean()
        square = sum(
            leaves[f"interneurons_of{i}_{part}"].square().reshape(6, -1).sum(1)
            for part in ("below", "own", "bias")
        )
        total = total - scaling / 4 * (square - 0.7**2).square().sum()
    wanted = dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
    found = moment.deltas[INTERNEURONS].tensors
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert autograd.relative_error(found[name], tensor) < 1e-10, name


def test_feedforward_descends_what_its_own_layer_s_interneurons_say(animal):
    built = animal(NAME, FEW, OPPOSED, "network.noise.scale=0.2")
    moment, weights, forward = stepped(built, WAKE)
    leaves = {k: v.requires_grad_() for k, v in forward.items()}
    state = moment.state.map(torch.Tensor.clone)  # out of the step's inference mode
    somas = autograd.replay(built.network, state, leaves, detach=True)
    # E_1 + E_2, each a function of its own layer alone: what it reads below is held.
    total = sum(
        evidence(weights, i, somas[i - 1].detach(), somas[i]).mean() for i in (1, 2)
    )  # fmt: skip
    wanted = dict(zip(leaves, torch.autograd.grad(-total, list(leaves.values())), strict=True))
    found = moment.deltas[FEEDFORWARD]
    for name, tensor in wanted.items():
        assert autograd.relative_error(found.tensors[name], tensor) < 1e-10, name
    assert found.gate == 1.0
    slopes = torch.autograd.grad(
        evidence(weights, 2, somas[1].detach(), (own := somas[2].detach().requires_grad_())).sum(),
        own,
    )[0]
    assert torch.allclose(found.teaching[1], slopes, rtol=1e-10)


def test_plasticity_at_interneurons_changes_sign_and_at_cortical_synapses_it_does_not():
    """Same activity in both phases: what remains of the sum is synaptic scaling alone."""
    torch.manual_seed(0)
    below, own = torch.rand(16, 5).double(), torch.rand(16, 4).double()
    u = [torch.randn(6, n, dtype=torch.float64) for n in (5, 4)]
    group = Interneurons(*u, torch.zeros(6).double(), votes(6, 1 / 3, own))
    q = group.rates(below, own)
    wake, rem = (hebbian_plasticity(group, q, below, own, s, 0.0, 1.0) for s in (1.0, -1.0))
    for one, other in zip(wake, rem, strict=True):
        assert torch.equal(one, -other)
    assert all(bool((change[:4] > 0).all()) for change in wake)  # rates are positive: Hebbian
    assert all(bool((change[4:] < 0).all()) for change in wake)  # those that vote for sleep
    product = torch.einsum("bm,bn->mn", q, own) / 16
    assert torch.allclose(wake[1][:4], product[:4], rtol=1e-12)


def test_scaling_brings_interneurons_to_their_length():
    torch.manual_seed(0)
    group = Interneurons(
        torch.randn(6, 5), torch.randn(6, 4), torch.zeros(6), votes(6, 0.5, torch.zeros(()))
    )
    silent = torch.zeros(2, 5), torch.zeros(2, 4)
    for _ in range(2000):
        q = torch.zeros(2, 6)
        for weight, change in zip(
            group[:3], hebbian_plasticity(group, q, *silent, 1.0, 0.1, 2.0), strict=True
        ):
            weight.add_(0.1 * change)
    lengths = (group.below.square().sum(1) + group.own.square().sum(1)).sqrt()
    assert torch.allclose(lengths, torch.full_like(lengths, 2.0), atol=1e-4)


def test_ach_neither_teaches_nor_gates(animal):
    def lived(change):
        built = animal(NAME, FEW)
        slots = Slots(on_ach=(SimpleNamespace(neuromodulator=change),))
        one = engine_of(built, (Block(wake=1), Block(rem=1)), cycles=4, slots=slots)
        for step in range(8):
            one.step(step)
        return [
            t.clone()
            for k in (FEEDFORWARD, FEEDBACK, INTERNEURONS)
            for t in built.network.parameters(k).values()
        ]

    intact = lived(lambda signal, labels, draws: signal)
    blocked = lived(
        lambda signal, labels, draws: replace(
            signal, gate=0.0, teaching=[torch.zeros_like(t) for t in signal.teaching]
        )
    )
    assert all(torch.equal(a, b) for a, b in zip(intact, blocked, strict=True))


def test_interneurons_do_not_look_beyond_their_layer_and_its_input(animal):
    """Activity of layer 2 changed: the interneurons of layer 1 and what they teach stay."""
    built = animal(NAME, FEW)
    one = engine_of(built, (Block(wake=1), Block(rem=1)), cycles=2)
    one.run(3)
    network, algorithm = built.network, built.algorithm
    x = built.dataset.held_out[:8]
    draws = one.streams.noise
    intact = propagate(network, x, WAKE, draws.at(3), {})
    other = propagate(network, x, WAKE, draws.at(3), {2: torch.zeros(6, dtype=torch.float64)})
    ach = [network.acetylcholine(state) for state in (intact, other)]
    first, second = (
        algorithm.deltas(network, state, signal, WAKE)
        for state, signal in zip((intact, other), ach, strict=True)
    )
    for kind in (FEEDFORWARD, INTERNEURONS):
        for name, tensor in first[kind].tensors.items():
            seen = "of2" in name or "into2" in name
            assert torch.equal(tensor, second[kind].tensors[name]) != seen, name


def test_their_changes_are_recorded_by_layer_and_can_be_scaled(animal):
    built = animal(NAME, FEW)
    one = engine_of(built, (Block(wake=1), Block(rem=1), Block(nrem=1)), cycles=1)
    found = [one.step(step) for step in range(3)]
    for moment, learns in zip(found, (True, True, False), strict=True):
        lengths = moment.lengths()
        for kept in (lengths.raw, lengths.applied):
            assert (set(kept.get(INTERNEURONS, {})) == {1, 2}) == learns
    assert {m.spec.phase: set(m.deltas) for m in found} == {
        WAKE: {FEEDFORWARD, FEEDBACK, INTERNEURONS, DISCRIMINATOR},
        REM: {INTERNEURONS, DISCRIMINATOR},
        NREM: set(),
    }
    still = animal(NAME, FEW)
    before = still.network.flat(INTERNEURONS).clone()
    engine_of(still, (Block(wake=1), Block(rem=1)), 2, Slots(scales={INTERNEURONS: 0.0})).run(4)
    assert torch.equal(before, still.network.flat(INTERNEURONS))


def test_what_does_not_fit_is_refused():
    from neuro_aws.errors import NeuroAWSError

    frozen = "arms.rem_silenced.perturb=[{plasticity: {interneurons: 0}, in: critical_period}]"
    with pytest.raises(NeuroAWSError, match="has no interneurons"):
        Protocol.from_text(TINY, "tiny.yaml", (frozen,))
    assert Protocol.from_text(TINY, "tiny.yaml", (frozen, NAME))
    binary = [f"network.{key}=sigmoid" for key in ("transfer", "bottom", "top")]
    binary += ["network.units=binary", "network.normalisation=none", "network.noise.scale=0"]
    with pytest.raises(NeuroAWSError, match="use rate units"):
        Protocol.from_text(TINY, "tiny.yaml", (*binary, NAME))


class TestToy:
    @pytest.fixture
    def toy(self, monkeypatch):
        monkeypatch.syspath_prepend(str(ROOT / "analysis"))
        return importlib.import_module("interneuron_toy")

    def test_single_cells_climb_their_likelihood(self, toy):
        w = torch.tensor([0.4, 0.7, -0.3, 0.8, 0.5], dtype=torch.float64, requires_grad=True)
        samples = toy.wake(200, torch.Generator().manual_seed(0))
        a, b, c = samples.unbind(-1)
        one = torch.distributions.Normal(w[0] * a, w[3])
        spread = (w[2] ** 2 * w[3] ** 2 + w[4] ** 2).sqrt()
        two = torch.distributions.Normal((w[1] + w[2] * w[0]) * a, spread)
        (wanted,) = torch.autograd.grad((one.log_prob(b) + two.log_prob(c)).mean(), w)
        assert torch.allclose(toy.single_cells(toy.Cells(w.detach()), samples), wanted, rtol=1e-10)

    def test_interneurons_align_the_joint_and_single_cells_do_not(self, toy):
        draw = torch.Generator().manual_seed(7)
        tied = {
            rule: toy.given_a(toy.asleep(toy.learn(rule, 1, 1600), 4000, draw)[0])
            for rule in ("single cells", "interneurons")
        }
        assert tied["interneurons"] < -0.55  # -0.88 in wake
        assert tied["single cells"] > -0.3
