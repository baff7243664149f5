"""Compiled kernels against the torch forms that they stand in for."""

from contextlib import nullcontext

import pytest
import torch

from neuro_aws.functional.convolution import Geometry, down, outer, up
from neuro_aws.functional.fused import kernels, written_out

FULL, BOTH = torch.float64, (torch.float64, torch.float32)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-2}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = FULL) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    made = torch.randn(*shape, generator=generator, dtype=FULL).to(dtype)
    return made.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else made


def same(found, wanted, tolerance: float | None = None) -> None:
    assert found.shape == wanted.shape
    assert found.dtype is wanted.dtype
    if tolerance is None:
        tolerance = TOLERANCE[wanted.dtype]
    assert float((found - wanted).norm()) <= tolerance * max(float(wanted.norm()), 1e-12)


@pytest.mark.parametrize("form", ["compiled", "written_out"])
@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize(
    ("batch", "n", "m", "side", "geometry"),
    [
        (3, 1, 5, 8, Geometry(4, 2, 1)),
        (3, 3, 5, 8, Geometry(4, 2, 1)),
        (3, 6, 300, 4, Geometry(4, 2, 1)),  # more kernels than positions
        (200, 6, 5, 4, Geometry(4, 2, 1)),
        (3, 6, 7, 2, Geometry(2, 1, 0)),
    ],
)
def test_products_over_patches_are_the_librarys_convolutions(
    form, low, batch, n, m, side, geometry
):
    pytest.importorskip("numba")
    g = geometry._replace(low=low)
    dtype = torch.float32 if low else FULL
    near = TOLERANCE[torch.bfloat16 if low else FULL]
    x, w, b = draw(batch, n, side, side), draw(m, n, g.kernel, g.kernel), draw(n)
    wanted = torch.nn.functional.conv2d(x, w, stride=g.stride, padding=g.padding)
    y = draw(*wanted.shape, seed=1)
    below = torch.nn.functional.conv_transpose2d(y, w, b, g.stride, g.padding)
    _, learnt, _ = torch.ops.aten.convolution_backward(
        y, x, w, None, [g.stride] * 2, [g.padding] * 2, [1, 1], False, [0, 0], 1,
        [False, True, False],
    )  # fmt: skip
    x_, y_, w_, b_ = (t.to(dtype) for t in (x, y, w, b))
    with written_out() if form == "written_out" else nullcontext():
        assert (kernels("patches", x_) is None) == (form == "written_out")
        same(up(x_, w_, g).double(), wanted, near)
        same(down(y_, w_, g, b_).double(), below, near)
        same(outer(y_, x_, w_, g).double(), learnt, near)


@pytest.mark.parametrize("which", ["up", "down", "outer"])
def test_convolutions_are_differentiated_as_often_as_asked(which):
    g = Geometry(4, 2, 1)
    x, y, w = (t.requires_grad_() for t in (draw(2, 3, 4, 4), draw(2, 4, 2, 2), draw(4, 3, 4, 4)))
    form, operands = {
        "up": (lambda a, b: up(a, b, g), (x, w)),
        "down": (lambda a, b: down(a, b, g, draw(3)), (y, w)),
        "outer": (lambda a, b: outer(a, b, w.detach(), g), (y, x)),
    }[which]
    assert torch.autograd.gradcheck(form, operands)
    assert torch.autograd.gradgradcheck(form, operands)


def test_a_gradient_at_the_activity_does_not_take_one_at_the_weights(monkeypatch):
    from neuro_aws.functional import convolution

    g = Geometry(4, 2, 1)
    x, w = draw(2, 3, 4, 4).requires_grad_(), draw(4, 3, 4, 4).requires_grad_()
    monkeypatch.setattr(convolution, "_outer", None)
    (found,) = torch.autograd.grad(up(x, w, g).sum(), x, create_graph=True)
    assert found.shape == x.shape
