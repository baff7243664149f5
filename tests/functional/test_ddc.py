"""The rules of distributed distributional codes against autograd, least squares and quantiles."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import Bernoulli, Laplace, Normal

from neuro_aws.functional import ddc

GENERATOR = torch.Generator().manual_seed(0)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def posterior(count: int = 7, units: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points of h and z, and what q gives each."""
    return numbers(count, units), torch.softmax(numbers(count), 0)


def test_a_code_is_rates_fixed_functions_and_one():
    rates, functions = numbers(4, 3), numbers(5, 4) / 2
    code = ddc.code_of(rates, functions, 1.7)
    by_hand = torch.tanh(1.7 * rates @ functions[:, :3].T + 2 * functions[:, 3])
    assert torch.allclose(code, torch.cat([rates, by_hand, torch.ones(4, 1)], 1))


def test_gaussian_feedback_climbs_the_expected_likelihood():
    (h, share), z = posterior(), numbers(7, 2)
    weight, bias = numbers(2, 3).requires_grad_(), numbers(2).requires_grad_()
    log = share @ Normal(h @ weight.T + bias, 0.6).log_prob(z).sum(1)
    wanted = torch.autograd.grad(log, [weight, bias])
    found = ddc.gaussian_feedback_plasticity(
        (share @ ddc.joint(z, h)).view(2, 4),
        ddc.square(share @ ddc.pairs(h), h[0]),
        share @ h,
        weight.detach(),
        bias.detach(),
    )
    for mine, its in zip(found, wanted, strict=True):
        assert torch.allclose(mine / 0.6**2, its, rtol=1e-12)


def test_bernoulli_feedback_climbs_the_expected_likelihood():
    (h, share), z = posterior(), (numbers(7, 2) > 0).double()
    weight, bias = numbers(2, 3).requires_grad_(), numbers(2).requires_grad_()
    log = share @ Bernoulli(logits=h @ weight.T + bias).log_prob(z).sum(1)
    wanted = torch.autograd.grad(log, [weight, bias])
    predicted = torch.sigmoid(h @ weight.T + bias).detach()
    found = ddc.bernoulli_feedback_plasticity(
        *((share @ ddc.joint(s, h)).view(2, 4) for s in (z, predicted))
    )
    for mine, its in zip(found, wanted, strict=True):
        assert torch.allclose(mine, its, rtol=1e-12)


def test_products_of_pairs_come_back_as_a_matrix():
    h = numbers(6, 4)
    assert torch.allclose(ddc.square(ddc.pairs(h), h), h[:, :, None] * h[:, None, :])


def test_the_delta_rule_decorrelated_is_least_squares():
    """At rates of 1 / t, from any start, after any number of steps; but for the small ridge."""
    mixing = numbers(5, 5) @ torch.diag(torch.tensor([3.0, 1.0, 1.0, 0.5, 0.3]).double())
    code, target = numbers(400, 5) @ mixing, numbers(400, 2)
    weights, moments = numbers(2, 5), None
    for step, (c, f) in enumerate(zip(code.split(40), target.split(40), strict=True)):
        moments = ddc.followed(moments, c, 1 / (step + 1))
        read = ddc.decorrelated(c, moments)
        weights = weights + ddc.code_plasticity(f, c @ weights.T, read) / (step + 1)
    assert moments is not None
    assert torch.allclose(moments, code.T @ code / 400)
    wanted = torch.linalg.lstsq(code, target).solution.T
    assert float((weights - wanted).norm() / wanted.norm()) < 0.05


def test_the_plain_delta_rule_descends_the_squared_error():
    code, target, weights = numbers(30, 5), numbers(30, 2), numbers(2, 5).requires_grad_()
    loss = (target - code @ weights.T).square().sum(1).mean() / 2
    (slope,) = torch.autograd.grad(loss, weights)
    found = ddc.code_plasticity(target, (code @ weights.T).detach(), code)
    assert torch.allclose(found, -slope, rtol=1e-12)


def test_normal_draws_become_laplacian_ones_by_their_quantiles():
    normal = torch.linspace(-6, 6, 101, dtype=torch.float64)
    wanted = stats.laplace.ppf(stats.norm.cdf(normal.numpy()), scale=1 / math.sqrt(2))
    near = normal.abs() < 5  # beyond it norm.cdf rounds to 1
    found = ddc.laplacian_of(normal)
    assert torch.allclose(found[near], torch.from_numpy(wanted)[near], rtol=1e-8)
    assert torch.allclose(found, -found.flip(0))
    single = ddc.laplacian_of(torch.tensor([-40.0, 40.0]))
    assert bool(torch.isfinite(single).all())
    many = ddc.laplacian_of(numbers(200_000))
    assert float(many.var()) == pytest.approx(1.0, rel=0.02)
    assert float(Laplace(0.0, 1 / math.sqrt(2)).log_prob(many).mean()) == pytest.approx(
        -(1 + math.log(math.sqrt(2))), abs=0.01
    )
