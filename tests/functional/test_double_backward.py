"""Normalisations that are differentiated twice, against finite differences and torch's own."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import batch_norm

from neuro_aws.functional.double_backward import BatchNormed, Pooled


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(*shape, dtype=torch.float64, generator=generator)
    return found.requires_grad_()


@pytest.mark.parametrize(("axis", "c"), [(1, 4.0), (-1, 1.0)])
def test_the_pool_has_both_derivatives(axis, c):
    v = draws(3, 4, 2, 2)

    def normal(v):
        return Pooled.apply(v, axis, c, 1e-8)[0]

    r = torch.sqrt(v.square().sum(axis, keepdim=True) / c + 1e-8)
    assert torch.allclose(normal(v), v / r)
    assert gradcheck(normal, v)
    assert gradgradcheck(normal, v)


@pytest.mark.parametrize("shape", [(3, 4, 2, 2), (5, 4)])
@pytest.mark.parametrize("affine", [True, False])
def test_the_batch_norm_has_both_derivatives(affine, shape):
    v = draws(*shape)
    given = (draws(4, seed=1), draws(4, seed=2)) if affine else (None, None)

    def normal(v):
        return BatchNormed.apply(v, *given, 1e-5)[0]

    assert torch.allclose(normal(v), batch_norm(v, None, None, *given, training=True))
    assert gradcheck(normal, v)
    assert gradgradcheck(normal, v)


def test_a_penalty_on_the_gradient_reaches_the_scale_as_it_does_in_torch():
    v, scale, shift = draws(3, 4, 2, 2), draws(4, seed=1), draws(4, seed=2)

    def penalty(norm):
        (g,) = torch.autograd.grad(norm(v, scale, shift).pow(3).sum(), v, create_graph=True)
        return torch.autograd.grad(g.pow(2).cumsum(0).sum(), (v, scale))

    found = penalty(lambda v, a, b: BatchNormed.apply(v, a, b, 1e-5)[0])
    known = penalty(lambda v, a, b: batch_norm(v, None, None, a, b, training=True))
    for mine, theirs in zip(found, known, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9)
