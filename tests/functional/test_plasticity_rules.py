"""Every written-out rule against autograd of the objective it descends, signs included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Psi, fire
from neuro_aws.functional.densities import kl_teaching, kl_to_standard_normal, score
from neuro_aws.functional.discriminator import (
    Form,
    Weights,
    potential,
    read,
    state_gradient,
)
from neuro_aws.functional.discriminator_plasticity import discriminator_plasticity, penalty
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
    assert relative_error(found[0], wanted[0]) < 1e-8
    assert relative_error(found[1], wanted[1]) < 1e-8


@given(seed=SEEDS, batch=st.integers(1, 6), post=st.integers(2, 6), pre=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_feedforward_rule_descends_its_teaching_signal(seed, batch, post, pre):
    draw = normal(seed)
    x, teach, weight = draw(batch, pre), draw(batch, post), draw(post, pre)
    psi = Psi(TRANSFERS["relu"], "rms")
    w = weight.clone().requires_grad_()
    objective = (teach * autograd.psi("relu", "rms", x @ w.T)).sum(-1).mean()
    (gradient,) = torch.autograd.grad(objective, w)
    found = feedforward_plasticity(teach, fire(psi, x @ weight.T), psi, x)
    assert relative_error(found[0], -gradient) < 1e-8


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
    assert relative_error(found[0], -gradient) < 1e-8
    assert relative_error(found[1], (-centred[:, None] * score(xi, sigma, density)).mean(0)) < 1e-8


def test_an_added_constant_in_ach_changes_nothing_a_gain_does():
    draw = normal(0)
    x, xi, level = draw(4000, 3), draw(4000, 2), draw(4000)
    centred = level - level.mean()
    plain = three_factor_plasticity(centred, xi, x)[0]
    shifted = (level + 7) - (level + 7).mean()
    assert torch.allclose(three_factor_plasticity(shifted, xi, x)[0], plain)
    assert torch.allclose(three_factor_plasticity(3 * centred, xi, x)[0], 3 * plain)


FORMS = st.builds(
    Form,
    slope=st.sampled_from([0.01, 0.1]),
    pooled=st.booleans(),
    spread=st.booleans(),
    sigma=st.just(0.3),
    penalty=st.just(0.7),
    penalty_form=st.sampled_from(["l2", "l1", "l1_signed"]),
    scope=st.sampled_from(["all", "pair"]),
).filter(lambda form: not (form.pooled and form.scope == "pair"))


def weights_of(sizes: list[int], hidden: int, draw, form: Form) -> Weights:
    pairs = len(sizes) - 1
    readers = [hidden * (min(j + 1, pairs) - max(j - 1, 0)) for j in range(len(sizes))]
    return Weights(
        [draw(u, n) for u, n in zip(readers, sizes, strict=True)],
        draw(hidden * pairs),
        draw(hidden * pairs),
        [draw(u) for u in readers] if form.spread else [],
        [draw(1)[0]] if form.pooled else [],
    )


@given(seed=SEEDS, sizes=SIZES, batch=st.integers(2, 5), hidden=st.integers(1, 6), form=FORMS)
@settings(max_examples=60, deadline=None)
def test_discriminator_reading_and_state_gradients(seed, sizes, batch, hidden, form):
    draw = normal(seed)
    weights = weights_of(sizes, hidden, draw, form)
    states = [draw(batch, n) for n in sizes]
    xi = draw(batch, len(weights.bias))
    at = potential(weights, form, states)
    reading = read(weights, form, at, xi)
    leaves = [h.clone().requires_grad_() for h in states]
    level = autograd.discriminator(weights, leaves, form, xi)
    assert relative_error(reading.level, level.detach()) < 1e-12
    found = state_gradient(weights, at, reading.sent)
    for mine, wanted in zip(found, torch.autograd.grad(level.sum(), leaves), strict=True):
        assert relative_error(mine, wanted) < 1e-8
    if form.scope == "pair":
        return
    wanted_penalty = autograd.penalty(weights, states, form, xi)
    assert float(penalty(form, found)) == pytest.approx(wanted_penalty.item(), rel=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("draws", ["shared", "each"])
@given(seed=SEEDS, sizes=SIZES, batch=st.integers(2, 5), hidden=st.integers(1, 6), form=FORMS)
@settings(max_examples=60, deadline=None)
def test_discriminator_ascends_in_wake_and_descends_in_rem_under_its_penalty(
    draws, sign, seed, sizes, batch, hidden, form
):
    """dD = + d (sign * mean D - penalty) / dD, the penalty differentiated twice by autograd."""
    draw = normal(seed)
    weights = weights_of(sizes, hidden, draw, form)
    states = [draw(batch, n) for n in sizes]
    xi = draw(batch, len(weights.bias))
    xi_penalty = xi if draws == "shared" else draw(batch, len(weights.bias))
    tensors = {name: t.clone().requires_grad_() for name, t in weights.tensors.items()}
    leaves = weights.like(tensors)
    objective = sign * autograd.discriminator(leaves, states, form, xi).mean()
    objective = objective - autograd.penalty(leaves, states, form, xi_penalty)
    wanted = torch.autograd.grad(objective, list(tensors.values()), allow_unused=True)
    at = potential(weights, form, states)
    reading = read(weights, form, at, xi)
    penalised = reading if draws == "shared" else read(weights, form, at, xi_penalty)
    gradient = state_gradient(weights, at, penalised.sent)
    delta = discriminator_plasticity(weights, form, at, reading, penalised, gradient, sign)
    for name, grad in zip(tensors, wanted, strict=True):
        found = delta.tensors[name]
        assert relative_error(found, torch.zeros_like(found) if grad is None else grad) < 1e-7


def plasticity_of(weights: Weights, states, sign: float, form: Form) -> Weights:
    at = potential(weights, form, states)
    reading = read(weights, form, at)
    gradient = state_gradient(weights, at, reading.sent)
    return discriminator_plasticity(weights, form, at, reading, reading, gradient, sign)


def test_penalty_is_zero_for_a_unit_gradient_and_quadratic_around_it():
    one, form = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64), Form(penalty=2.0)
    assert float(penalty(form, [one])) == pytest.approx(0.0, abs=1e-20)
    assert float(penalty(form, [3 * one])) == pytest.approx(2.0 * 2**2)


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
        assert torch.allclose(both[0][k], one[0])
        assert torch.allclose(both[1][k], one[1])
    form = Form()
    weights = Weights([draw(2, 6, 4), draw(2, 6, 3)], draw(2, 6), draw(2, 6), [], [])
    both_d = plasticity_of(weights, [x, teach], 1.0, form)
    for k in range(2):
        alone = weights.like({name: t[k] for name, t in weights.tensors.items()})
        one = plasticity_of(alone, [x[k], teach[k]], 1.0, form)
        for name, wanted in one.tensors.items():
            assert torch.allclose(both_d.tensors[name][k], wanted)
