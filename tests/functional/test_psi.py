"""Transfer functions, normalisation, and psi' against autograd in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro_aws.functional.activations import TRANSFERS, inverse_relu
from neuro_aws.functional.compartments import Psi, fire, pull_back
from tests.reference import autograd

SHAPES = st.tuples(st.integers(1, 4), st.integers(2, 7))


def draws(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("normalisation", ["rms", "l2", "none"])
@pytest.mark.parametrize("name", list(TRANSFERS))
@given(shape=SHAPES, seed=st.integers(0, 10**6), gained=st.booleans())
@settings(max_examples=8, deadline=None)
def test_rate_and_slope_equal_autograd(name, normalisation, first, shape, seed, gained):
    a = draws(shape, seed)
    gain = draws((shape[1],), seed + 1).abs() if gained and not first else None
    psi = Psi(TRANSFERS[name], normalisation, normalise_first=first)
    fired = fire(psi, a, gain)
    leaf = a.clone().requires_grad_()
    if gain is None:
        rate = autograd.psi(name, normalisation, leaf, first)
    else:
        v = autograd.PHI[name](leaf) * gain
        rate = autograd.psi("linear", normalisation, v)
    assert autograd.relative_error(fired.rate, rate.detach()) < 1e-12
    teach = draws(shape, seed + 2)
    (wanted,) = torch.autograd.grad((teach * rate).sum(), leaf)
    assert autograd.relative_error(pull_back(psi, teach, fired), wanted) < 1e-8


@pytest.mark.parametrize("name", list(TRANSFERS))
def test_surrogate_is_never_zero_and_changes_only_the_slope(name):
    a = torch.linspace(-2, 2, 41, dtype=torch.float64)[None]
    exact, surrogate = (Psi(TRANSFERS[name], surrogate=s) for s in (False, True))
    assert torch.equal(fire(exact, a).rate, fire(surrogate, a).rate)
    ones = torch.ones_like(a)
    assert bool((surrogate.back(ones, a, exact.transfer.value(a)) > 0).all())
    if name == "relu":
        assert bool((exact.back(ones, a, exact.transfer.value(a))[a <= 0] == 0).all())


def test_normalised_layers_have_unit_rms_whatever_their_input():
    psi = Psi(TRANSFERS["relu"], "rms")
    rates = fire(psi, 100 * draws((50, 30), 0)).rate
    assert torch.allclose(rates.square().mean(-1), torch.ones(50, dtype=torch.float64), atol=1e-6)


def test_inverse_relu_touches_only_zeros_and_is_negative_exponential():
    rate = torch.tensor([0.0, 1.5] * 20000, dtype=torch.float64)
    uniform = torch.rand(40000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = inverse_relu(rate, uniform, 0.5)
    assert torch.equal(out[1::2], rate[1::2])
    below = out[::2]
    assert bool((below < 0).all())
    assert abs(float(below.mean()) + 0.5) < 0.02  # mean of -Exp(scale 0.5)
    assert abs(float(below.std()) - 0.5) < 0.02
