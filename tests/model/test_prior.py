"""The prior that is learnt from the waking top: a mixture in which no component stands idle."""

from contextlib import nullcontext

import pytest
import torch

from neuro_aws.functional.asking import never
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.model.prior import IDLE, LearntPrior, widest_unasked


def prior(components: int, units: int = 4) -> LearntPrior:
    return LearntPrior(components, units, torch.Generator().manual_seed(0), torch.float64)


def clusters(count: int, units: int = 4) -> torch.Tensor:
    return 6 * torch.randn(
        count, units, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )


def draws(centres: torch.Tensor, batch: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(centres), (batch,), generator=generator)
    noise = torch.randn(batch, centres.shape[1], generator=generator, dtype=torch.float64)
    return centres[chosen] + 0.3 * noise


def uneven() -> LearntPrior:
    """Return a mixture of three of which the last stands idle."""
    one = prior(3)
    one.weight.copy_(torch.tensor([0.7, 0.29, 0.001]))
    centres, spread = clusters(3), torch.diag(torch.tensor([3.0, 1.0, 0.5, 0.2])).double()
    one.first.copy_(one.weight[:, None] * centres)
    outer = spread + centres[:, :, None] * centres[:, None, :]
    one.second.copy_(one.weight[:, None, None] * outer)
    return one


@pytest.mark.parametrize("asks", [True, False])
def test_a_split_leaves_the_mixture_s_mean_and_covariance_as_they_were(asks):
    one = uneven()
    rest = one.first[2].clone(), one.second[2].clone()
    before = one.first.sum(0) - rest[0], one.second.sum(0) - rest[1]
    with nullcontext() if asks else never():
        one.employ()
    assert torch.allclose(one.weight[[0, 2]], torch.tensor([0.35, 0.35]).double())
    assert torch.allclose(one.first.sum(0), before[0])
    assert torch.allclose(one.second.sum(0), before[1])
    apart = one._means()[2] - one._means()[0]
    assert float(apart[0].abs()) > 2  # along the axis on which it varied most
    assert torch.allclose(apart[1:], torch.zeros(3).double(), atol=1e-9)
    assert bool((torch.linalg.eigvalsh(one._covariance()) > 0).all())


def test_without_asking_the_same_two_components_come_of_a_split():
    """But for which of the two takes the idle one's place."""
    asked, unasked = uneven(), uneven()
    asked.employ()
    with never():
        unasked.employ()
    turned = unasked.first[0] - asked.first[0]
    order = [0, 1, 2] if float(turned.norm()) < 1e-6 else [2, 1, 0]
    for name, kept in asked.buffers().items():
        assert torch.allclose(unasked.buffers()[name][order], kept, rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("units", [2, 6, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_widest_axis_is_found_without_a_decomposition(units, dtype):
    shape = (units, 2 * units)
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(units), dtype=dtype)
    covariance = x @ x.T / shape[1] * 1e-4
    values, axes = torch.linalg.eigh(covariance)
    variance, axis = widest_unasked(covariance)
    assert float(variance) == pytest.approx(float(values[-1]), rel=1e-4)
    assert float((axis @ axes[:, -1]).abs()) == pytest.approx(1, abs=1e-4)


def test_what_varies_nowhere_has_no_widest_axis():
    variance, axis = widest_unasked(torch.zeros(3, 3))
    assert float(variance) == 0
    assert torch.equal(axis, torch.zeros(3))


@pytest.mark.parametrize("failing", [True, False])
def test_draws_are_the_same_without_asking(failing):
    one = uneven()
    if failing:
        one.second[1] -= 2 * torch.ones(4, 4).double()
    drawn = [one.sample(64, KeyedNoise(0, "prior", torch.float64).at(0))]
    with never():
        drawn.append(one.sample(64, KeyedNoise(0, "prior", torch.float64).at(0)))
    assert torch.equal(*drawn)
    assert bool(torch.isfinite(drawn[0]).all())


@pytest.mark.parametrize("asks", [True, False])
def test_nothing_is_split_where_all_are_in_use_or_none_is_heavy(asks):
    for weights in ([0.5, 0.3, 0.2], [0.48, 0.48, 0.04]):
        one = prior(3)
        one.weight.copy_(torch.tensor(weights))
        before = one.first.clone()
        with nullcontext() if asks else never():
            one.employ()
        assert torch.equal(one.first, before)
        assert torch.equal(one.weight, torch.tensor(weights).double())


def test_every_cluster_of_the_waking_top_is_dreamt():
    """A component at each of 12 far clusters; before, a few components took them all."""
    centres, one = clusters(12), prior(12)
    for step in range(1500):
        one.track(draws(centres, 64, step))
    assert float(one.weight.min() * 12) > IDLE
    dreamt = one.sample(2000, KeyedNoise(0, "prior", torch.float64).at(0))
    distance, nearest = torch.cdist(dreamt, centres).min(1)
    assert float((distance < 3).double().mean()) > 0.9
    shares = torch.bincount(nearest, minlength=12) / 2000
    assert float(shares.min()) > 0.5 / 12
