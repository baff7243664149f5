"""Optimisers, gates, scales, and when changes are made."""

import pytest
import torch

from neuro_aws.algorithms.updates import Plasticity, Updates, flat
from neuro_aws.functional.decay import Decay
from neuro_aws.functional.optimisers import SGD, Adam
from neuro_aws.model.state import Delta
from neuro_aws.phase import DISCRIMINATOR, FEEDFORWARD

OPTIMISERS = [SGD(0.01), Adam(0.01), Adam(0.01, (0.64, 0.999))]


NAMES = ("feedforward_into1", "feedforward_into1_bias")


def draws(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 2), (3,))
    ]


def named(tensors: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors by name, in another order than that of the weights."""
    return dict(reversed(list(zip(NAMES, tensors, strict=True))))


def updates(optimiser, when="step") -> Updates:
    moments = optimiser.start(torch.zeros_like(flat(named(draws(0)), NAMES)))
    return Updates({FEEDFORWARD: Plasticity(NAMES, optimiser, moments, when)})


def step(rule: Updates, seed: int, gate=1.0, scale=1.0, ends=True, deviation=None):
    delta = Delta(named(draws(seed)), gate, deviation)
    return parts(rule({FEEDFORWARD: delta}, {FEEDFORWARD: scale}, ends).get(FEEDFORWARD))


def parts(change):
    """Return a flat change in the shapes of the weights, None where there is none."""
    return None if change is None else [change[:6].view(3, 2), change[6:]]


@pytest.mark.parametrize("betas", [(0.0, 0.9), (0.64, 0.999), (0.9, 0.99)])
def test_adam_equals_torch(betas):
    ours = [torch.zeros_like(t) for t in draws(0)]
    theirs = [t.clone().requires_grad_() for t in ours]
    reference = torch.optim.Adam(theirs, lr=0.01, betas=betas, eps=1e-8)
    rule = updates(Adam(0.01, betas))
    for seed in range(20):
        for leaf, delta in zip(theirs, draws(seed), strict=True):
            leaf.grad = -delta
        reference.step()
        for weight, change in zip(ours, step(rule, seed), strict=True):
            weight += change
    for found, wanted in zip(ours, theirs, strict=True):
        assert torch.allclose(found, wanted.detach(), rtol=1e-12, atol=1e-14)


def test_sgd_is_rate_times_delta():
    for change, delta in zip(step(updates(SGD(0.01)), 1), draws(1), strict=True):
        assert torch.allclose(change, 0.01 * delta)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("by", [{"scale": 0.05}, {"gate": 0.05}])
def test_a_factor_acts_after_the_optimiser(optimiser, by):
    plain, scaled = updates(optimiser), updates(optimiser)
    for seed in range(5):
        whole, part = step(plain, seed), step(scaled, seed, **by)
        for a, b in zip(whole, part, strict=True):
            assert torch.allclose(0.05 * a, b, rtol=1e-12)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("by", [{"scale": 0.0}, {"gate": 0.0}])
def test_zero_moves_nothing_and_leaves_the_moments(optimiser, by):
    rule, undisturbed = updates(optimiser), updates(optimiser)
    step(rule, 0), step(undisturbed, 0)
    kept = rule.plasticity[FEEDFORWARD].moments.second
    before = None if kept is None else kept.clone()
    assert step(rule, 1, **by) is None
    if before is not None:
        assert torch.equal(before, rule.plasticity[FEEDFORWARD].moments.second)
    for a, b in zip(step(rule, 2), step(undisturbed, 2), strict=True):
        assert torch.equal(a, b)


def test_once_a_cycle_applies_the_sum_at_its_end():
    rule = updates(SGD(1.0), "cycle")
    assert step(rule, 0, ends=False) is None
    assert step(rule, 1, ends=False) is None
    change = step(rule, 2, ends=True)
    for found, *parts in zip(change, draws(0), draws(1), draws(2), strict=True):
        assert torch.allclose(found, sum(parts))
    assert rule({}, {}, True) == {}


def test_a_cycle_leaves_out_the_steps_that_were_gated_off():
    rule = updates(SGD(1.0), "cycle")
    step(rule, 0, ends=False)
    step(rule, 1, ends=False, scale=0.0)
    change = parts(rule({}, {}, True)[FEEDFORWARD])
    for found, wanted in zip(change, draws(0), strict=True):
        assert torch.allclose(found, wanted)


@pytest.mark.parametrize("optimiser", [SGD(0.01), Adam(0.01)])
def test_gates_that_differ_by_sample_weigh_the_samples(optimiser):
    """Two samples, gates 1 and 3: the change is (d1 + 3 d2) / 2 under the same preconditioner."""
    one, two = draws(1), draws(2)
    mean = [(a + b) / 2 for a, b in zip(one, two, strict=True)]
    deviation = [(-1 * a + 1 * b) / 2 for a, b in zip(one, two, strict=True)]
    plain, paired = updates(optimiser), updates(optimiser)
    whole = parts(plain({FEEDFORWARD: Delta(named(mean))}, {}, True)[FEEDFORWARD])
    found = parts(
        paired({FEEDFORWARD: Delta(named(mean), 2.0, named(deviation))}, {}, True)[FEEDFORWARD]
    )
    for change, base, a, b in zip(found, whole, one, two, strict=True):
        ratio = base / ((a + b) / 2)  # eta over the root of the second moment, by weight
        assert torch.allclose(change, ratio * (a + 3 * b) / 2, rtol=1e-9)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("when", ["step", "cycle"])
def test_a_gate_that_stays_on_the_device_does_what_the_number_does(optimiser, when):
    """To the bit at once; within a cycle to rounding, since the host cannot see that all agree."""
    number, tensor = updates(optimiser, when), updates(optimiser, when)
    for seed, gate in enumerate((0.7, 0.7, 0.3, 1.0)):
        on_device = torch.tensor(gate, dtype=torch.float64)
        ours, theirs = (
            step(rule, seed, given, 0.3, seed % 2 == 1)
            for rule, given in ((tensor, on_device), (number, gate))
        )
        assert (ours is None) == (theirs is None) == (when == "cycle" and seed % 2 == 0)
        for a, b in zip(ours or (), theirs or (), strict=True):
            assert torch.equal(a, b) if when == "step" else torch.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("gate", [1.0, torch.tensor(0.4, dtype=torch.float64)])
def test_saved_state_goes_on_where_it_stopped(gate):
    rule = updates(Adam(0.01, (0.5, 0.9)), "cycle")
    step(rule, 0, gate), step(rule, 1, gate, ends=False)
    saved = rule.state_dict()
    assert saved[FEEDFORWARD]["factor"] == float(gate)
    assert type(saved[FEEDFORWARD]["factor"]) is float
    other = updates(Adam(0.01, (0.5, 0.9)), "cycle")
    other.load_state_dict(saved)
    for a, b in zip(step(other, 2, gate), step(rule, 2, gate), strict=True):
        assert torch.equal(a, b)


def test_projections_do_not_mix():
    rule = updates(SGD(1.0))
    assert rule({DISCRIMINATOR: Delta(named(draws(0)))}, {}, True) == {}


@pytest.mark.parametrize("optimiser", [SGD(0.01), Adam(0.01)])
def test_within_a_cycle_each_step_keeps_its_own_factor(optimiser):
    """Two steps under factors 1 and 0.5: the change is made of d1 + d2 / 2, not of both alike."""
    plain, scaled = updates(optimiser, "cycle"), updates(optimiser, "cycle")
    step(plain, 1, ends=False), step(scaled, 1, ends=False)
    whole, found = step(plain, 2), step(scaled, 2, scale=0.5)
    for change, base, a, b in zip(found, whole, draws(1), draws(2), strict=True):
        ratio = base / (a + b)
        assert torch.allclose(change, ratio * (a + b / 2), rtol=1e-9)


def test_another_optimiser_starts_afresh():
    sgd, adam = updates(SGD(0.01)), updates(Adam(0.01))
    for seed in range(50):
        step(sgd, seed)
    adam.load_state_dict(sgd.state_dict())
    assert adam.plasticity[FEEDFORWARD].moments.count == 0
    for change in step(adam, 0):  # the first step of a fresh Adam has the size of the rate
        assert torch.allclose(change.abs(), torch.full_like(change, 0.01), rtol=1e-5)


def test_a_rate_falls_to_its_floor_and_stays():
    decay = Decay(0.5, 3, 0.125)
    assert [decay.at(step) for step in (0, 2, 3, 6, 9, 12, 3000)] == [
        1, 1, 0.5, 0.25, 0.125, 0.125, 0.125,
    ]  # fmt: skip
