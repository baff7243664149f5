"""Every written-out rule against autograd of the objective it descends, signs included."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Psi, fire
from neuro_aws.functional.densities import kl_teaching, kl_to_standard_normal, score
from neuro_aws.functional.discriminator import (
    Weights,
    by_layer,
    discriminator_plasticity,
    gradient_norm,
    penalty,
    read,
    sent_back,
    state_gradient,
)
from neuro_aws.functional.noise import RecordedNoise, unit_noise
from neuro_aws.functional.plasticity import (
    feedforward_plasticity,
    predictive_plasticity,
    three_factor_plasticity,
)
from tests.reference import autograd
from tests.reference.autograd import relative_error

SEEDS = st.integers(0, 10**6)
SIZES = st.lists(st.integers(2, 7), min_size=2, max_size=4)


def normal(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("density", ["gaussian", "laplacian"])
@pytest.mark.parametrize("name", list(TRANSFERS))
@given(seed=SEEDS, batch=st.integers(1, 6), post=st.integers(2, 6), pre=st.integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_prediction_ascends_the_log_likelihood(name, density, seed, batch, post, pre):
    """dG = + d U / d G with U = mean log p(h | d), Eq. 2 (and dF of Wake-Sleep likewise)."""
    draw = normal(seed)
    x, target, weight, bias = draw(batch, pre), draw(batch, post), draw(post, pre), draw(post)
    psi = Psi(TRANSFERS[name], "rms")
    w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    error = target - autograd.psi(name, "rms", x @ w.T + b)
    log_p = -(0.5 * error**2 if density == "gaussian" else error.abs()).sum(-1).mean()
    wanted = torch.autograd.grad(log_p, (w, b))
    found = predictive_plasticity(target, fire(psi, x @ weight.T + bias), psi, x, density)
    assert relative_error(found.weight, wanted[0]) < 1e-8
    assert relative_error(found.bias, wanted[1]) < 1e-8


@given(seed=SEEDS, batch=st.integers(1, 6), post=st.integers(2, 6), pre=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_feedforward_rule_descends_what_teaches_it(seed, batch, post, pre):
    draw = normal(seed)
    x, teach, weight = draw(batch, pre), draw(batch, post), draw(post, pre)
    psi = Psi(TRANSFERS["relu"], "rms")
    w = weight.clone().requires_grad_()
    objective = (teach * autograd.psi("relu", "rms", x @ w.T)).sum(-1).mean()
    (gradient,) = torch.autograd.grad(objective, w)
    found = feedforward_plasticity(teach, fire(psi, x @ weight.T), psi, x)
    assert relative_error(found.weight, -gradient) < 1e-8


@pytest.mark.parametrize("density", ["gaussian", "laplacian"])
@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_three_factor_rule_is_reinforce_descending_ach(density, seed):
    """dF = - mean (ACh - mean) d log p(a; F) / dF, Eq. 4, log p by autograd."""
    draw = normal(seed)
    sigma, x, weight = 0.3, draw(6, 4), draw(5, 4)
    xi, level = draw(6, 5), draw(6)
    a = (x @ weight.T + sigma * xi).detach()
    w = weight.clone().requires_grad_()
    shift = a - x @ w.T
    log_p = -(shift**2) / (2 * sigma**2) if density == "gaussian" else -shift.abs() * 2**0.5 / sigma
    centred = level - level.mean()
    (gradient,) = torch.autograd.grad((centred * log_p.sum(-1)).mean(), w)
    found = three_factor_plasticity(centred, score(xi, sigma, density), x)
    assert relative_error(found.weight, -gradient) < 1e-8
    assert (
        relative_error(found.bias, (-centred[:, None] * score(xi, sigma, density)).mean(0)) < 1e-8
    )


def test_an_added_constant_in_ach_teaches_nothing_a_gain_does():
    draw = normal(0)
    x, xi, level = draw(4000, 3), draw(4000, 2), draw(4000)
    centred = level - level.mean()
    plain = three_factor_plasticity(centred, xi, x).weight
    shifted = (level + 7) - (level + 7).mean()
    assert torch.allclose(three_factor_plasticity(shifted, xi, x).weight, plain)
    assert torch.allclose(three_factor_plasticity(3 * centred, xi, x).weight, 3 * plain)


def weights_of(sizes: list[int], hidden: int, draw) -> Weights:
    joint = [draw(hidden, a + b) for a, b in itertools.pairwise(sizes)]
    return Weights(joint, draw(hidden * len(joint)), draw(hidden * len(joint)))


@given(seed=SEEDS, sizes=SIZES, batch=st.integers(1, 5), hidden=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_discriminator_reading_and_state_gradients(seed, sizes, batch, hidden):
    draw = normal(seed)
    weights = weights_of(sizes, hidden, draw)
    states = [draw(batch, n) for n in sizes]
    reading = read(weights, states)
    leaves = [h.clone().requires_grad_() for h in states]
    level = autograd.discriminator(weights, leaves)
    assert relative_error(reading.level, level.detach()) < 1e-12
    found = by_layer(state_gradient(weights, reading, sent_back(weights, reading)), sizes)
    for mine, wanted in zip(found, torch.autograd.grad(level.sum(), leaves), strict=True):
        assert relative_error(mine, wanted) < 1e-8


@pytest.mark.parametrize("sign", [1.0, -1.0])
@given(seed=SEEDS, sizes=SIZES, batch=st.integers(1, 5), hidden=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_discriminator_ascends_in_wake_and_descends_in_rem_under_its_penalty(
    sign, seed, sizes, batch, hidden
):
    """dD = + d (sign * mean D - penalty) / dD, the penalty differentiated twice by autograd."""
    draw = normal(seed)
    weights = weights_of(sizes, hidden, draw)
    states = [draw(batch, n) for n in sizes]
    joint = [w.clone().requires_grad_() for w in weights.joint]
    leaves = Weights(joint, *(t.clone().requires_grad_() for t in weights[1:]))
    objective = sign * autograd.discriminator(leaves, states).mean() - autograd.penalty(
        leaves, states, 0.7
    )
    wanted = torch.autograd.grad(objective, [*joint, *leaves[1:]], allow_unused=True)
    delta = plasticity_of(weights, states, sign, 0.7)
    for found, grad in zip([*delta.joint, *delta[1:]], wanted, strict=True):
        assert relative_error(found, torch.zeros_like(found) if grad is None else grad) < 1e-8


def plasticity_of(weights: Weights, states, sign: float, strength: float) -> Weights:
    reading = read(weights, states)
    sent = sent_back(weights, reading)
    gradient = state_gradient(weights, reading, sent)
    return discriminator_plasticity(weights, reading, sent, gradient, sign, strength)


def test_penalty_is_zero_for_a_unit_gradient_and_quadratic_around_it():
    one = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    assert float(gradient_norm(one)) == pytest.approx(1.0)
    assert float(penalty(one, 2.0)) == pytest.approx(0.0, abs=1e-20)
    assert float(penalty(3 * one, 2.0)) == pytest.approx(2.0 * 2**2)


@given(seed=SEEDS, batch=st.integers(2, 9), units=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_kl_and_its_teaching(seed, batch, units):
    top = normal(seed)(batch, units)
    leaf = top.clone().requires_grad_()
    objective = autograd.kl(leaf)
    (gradient,) = torch.autograd.grad(objective, leaf)
    assert float(kl_to_standard_normal(top)) == pytest.approx(objective.item(), rel=1e-10)
    assert relative_error(kl_teaching(top) / batch, gradient) < 1e-8


@pytest.mark.parametrize("density", ["gaussian", "laplacian"])
def test_noise_has_zero_mean_and_unit_variance(density):
    generator = torch.Generator().manual_seed(0)

    class Source:
        def normal(self, shape):
            return torch.randn(shape, generator=generator)

        def uniform(self, shape):
            return torch.rand(shape, generator=generator)

    xi = unit_noise(Source(), torch.Size((200, 1000)), density)
    assert abs(float(xi.mean())) < 0.01
    assert float(xi.var()) == pytest.approx(1.0, abs=0.02)
    kurtosis = float((xi**4).mean() / xi.var() ** 2)
    assert kurtosis == pytest.approx(3.0 if density == "gaussian" else 6.0, rel=0.1)


def test_recorded_noise_plays_back_and_refuses_another_shape():
    noise = RecordedNoise([torch.ones(2, 3)])
    assert torch.equal(noise.normal(torch.Size((2, 3))), torch.ones(2, 3))
    with pytest.raises(ValueError, match="shape"):
        RecordedNoise([torch.ones(2, 3)]).normal(torch.Size((3, 2)))


def test_rules_take_leading_dimensions():
    """Two networks at once give what each gives alone."""
    draw = normal(3)
    x, teach, weight = draw(2, 5, 4), draw(2, 5, 3), draw(2, 3, 4)
    psi = Psi(TRANSFERS["relu"], "rms")
    both = feedforward_plasticity(teach, fire(psi, x @ weight.mT), psi, x)
    for k in range(2):
        one = feedforward_plasticity(teach[k], fire(psi, x[k] @ weight[k].T), psi, x[k])
        assert torch.allclose(both.weight[k], one.weight)
        assert torch.allclose(both.bias[k], one.bias)
    weights = Weights([draw(2, 6, 7)], draw(2, 6), draw(2, 6))
    both_d = plasticity_of(weights, [x, teach], 1.0, 0.3)
    for k in range(2):
        alone = Weights([weights.joint[0][k]], weights.bias[k], weights.readout[k])
        one = plasticity_of(alone, [x[k], teach[k]], 1.0, 0.3)
        assert torch.allclose(both_d.joint[0][k], one.joint[0])
        assert torch.allclose(both_d.bias[k], one.bias)
        assert torch.allclose(both_d.readout[k], one.readout)
