"""The prior that is learnt from the waking top: a mixture in which no component stands idle."""

import torch

from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.model.prior import IDLE, LearntPrior


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


def test_a_split_leaves_the_mixture_s_mean_and_covariance_as_they_were():
    one = prior(3)
    one.weight.copy_(torch.tensor([0.7, 0.29, 0.001]))
    centres, spread = clusters(3), torch.diag(torch.tensor([3.0, 1.0, 0.5, 0.2])).double()
    one.first.copy_(one.weight[:, None] * centres)
    outer = spread + centres[:, :, None] * centres[:, None, :]
    one.second.copy_(one.weight[:, None, None] * outer)
    rest = one.first[2].clone(), one.second[2].clone(), float(one.weight[2])
    before = one.first.sum(0) - rest[0], one.second.sum(0) - rest[1]
    one.employ()
    assert torch.allclose(one.weight[[0, 2]], torch.tensor([0.35, 0.35]).double())
    assert torch.allclose(one.first.sum(0), before[0])
    assert torch.allclose(one.second.sum(0), before[1])
    apart = one._means()[2] - one._means()[0]
    assert float(apart[0].abs()) > 2  # along the axis on which it varied most
    assert torch.allclose(apart[1:], torch.zeros(3).double(), atol=1e-9)
    assert bool((torch.linalg.eigvalsh(one._covariance()) > 0).all())


def test_nothing_is_split_where_all_are_in_use_or_none_is_heavy():
    for weights in ([0.5, 0.3, 0.2], [0.48, 0.48, 0.04]):
        one = prior(3)
        one.weight.copy_(torch.tensor(weights))
        before = one.first.clone()
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
