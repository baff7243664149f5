"""Compiled kernels against the torch forms that they stand in for."""

import pytest
import torch

from neuro_aws.functional.activations import TRANSFERS, inverse_relu
from neuro_aws.functional.compartments import Psi, fire, pull_back
from neuro_aws.functional.convolution import Geometry, down, outer, up
from neuro_aws.functional.discriminator import (
    Form,
    Weights,
    potential,
    read,
    spread_of,
    state_gradient,
)
from neuro_aws.functional.discriminator_plasticity import _directed, discriminator_plasticity
from neuro_aws.functional.double_backward import BatchNormed, Pooled
from neuro_aws.functional.fused import compiled, kernels
from neuro_aws.functional.low import lowered
from neuro_aws.functional.optimisers import Adam

FULL, BOTH = torch.float64, (torch.float64, torch.float32)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-2}


@pytest.fixture(autouse=True)
def by_kernels():
    with compiled():
        yield


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
        (3, 64, 5, 8, Geometry(4, 2, 1)),  # wide patches
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
    with compiled(form == "compiled"):
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


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("betas", [(0.0, 0.9), (0.64, 0.999)])
def test_adam(dtype, betas):
    pytest.importorskip("numba")
    rule, changes = Adam(1e-3, betas), []
    for how in (True, False):
        moments = rule.start(torch.zeros(1001, dtype=dtype))
        with compiled(how):
            for t in range(3):
                change = rule.step(draw(1001, seed=t, dtype=dtype), moments)
        changes.append((change, moments))
    (found, a), (wanted, b) = changes
    same(found, wanted)
    same(a.second, b.second)
    assert (a.first is None) == (betas[0] == 0)
    if a.first is not None:
        same(a.first, b.first)


@pytest.mark.parametrize("dtype", BOTH)
def test_sums_over_the_batch(dtype):
    pytest.importorskip("numba")
    state = draw(9, 70, dtype=dtype)
    found = spread_of(state)
    with compiled(False):
        wanted = spread_of(state)
    for a, b in zip(found, wanted, strict=True):
        same(a, b)


@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize("form", ["l1", "l1_signed", "l2"])
@pytest.mark.parametrize("low", [torch.float64, torch.float32, torch.bfloat16])
def test_the_direction_of_the_penalty(low, form, spread):
    pytest.importorskip("numba")
    dtype = torch.float32 if low is torch.bfloat16 else low
    share, g, h = (draw(*s, dtype=dtype) for s in ((9, 1), (9, 70), (9, 70)))
    g[0, :3] = 0
    given = Form(penalty_form=form), share, g, h.to(low), spread_of(h) if spread else None, True
    found = _directed(*given)
    with compiled(False):
        wanted = _directed(*given)
    assert torch.equal(found.both, wanted.both)
    assert torch.equal(found.q, found.both[9:])
    assert (found.felt is None) == (not spread)
    if spread:
        same(found.felt, wanted.felt)


def test_a_weight_in_bfloat16_follows_its_changes():
    w = draw(3, 4).float()
    assert torch.equal(lowered(w), w.bfloat16())
    assert lowered(w) is lowered(w)
    with torch.inference_mode():
        w.add_(1)
        assert torch.equal(lowered(w), w.bfloat16())


PSIS = [
    Psi(TRANSFERS[transfer], normalisation, first, axis=1)
    for transfer in ("relu", "leaky_relu")
    for normalisation in ("rms", "l2", "none")
    for first in (False, True)
]


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("psi", PSIS, ids=lambda p: f"{p.transfer.name}-{p.normalisation}")
def test_psi_and_its_way_back(psi, noisy, dtype):
    pytest.importorskip("numba")
    a, xi, teach = (draw(3, 20, 4, 4, seed=s, dtype=dtype) for s in range(3))
    noise = xi if noisy else None

    def all_of():
        fired = fire(psi, a, None, noise, 0.3)
        quiet = fire(psi, a)
        back = [pull_back(psi, teach, quiet, how) for how in ("given", "difference", "sign")]
        tensors = (fired.rate, fired.potential, fired.value, fired.pool)
        return fired, [t for t in tensors if t is not None] + back

    fired, found = all_of()
    with compiled(False):
        other, wanted = all_of()
    for a_, b_ in zip(found, wanted, strict=True):
        same(a_, b_)
        assert a_.is_contiguous(memory_format=torch.channels_last)
    assert (fired.potential is a) == (other.potential is a)


@pytest.mark.parametrize("dtype", BOTH)
def test_inverse_relu(dtype):
    pytest.importorskip("numba")
    rate, uniform = draw(3, 20, 4, 4, dtype=dtype).relu(), draw(3, 20, 4, 4, dtype=dtype).sigmoid()
    found = inverse_relu(rate, uniform, 0.5)
    with compiled(False):
        same(found, inverse_relu(rate, uniform, 0.5))


@pytest.mark.parametrize("c", [1, 20])
def test_derivatives_of_the_pool(c):
    pytest.importorskip("numba")
    a, t, g = (draw(3, 20, 4, 4, seed=s) for s in range(3))

    def all_of():
        values, at = a.clone().requires_grad_(), t.clone().requires_grad_()
        normal, pool = Pooled.apply(values, 1, c, 1e-8)
        (back,) = torch.autograd.grad(normal, values, at, create_graph=True)
        return [normal, pool, back, *torch.autograd.grad(back, (values, at), g)]

    found = all_of()
    with compiled(False):
        for one, other in zip(found, all_of(), strict=True):
            same(one.detach(), other.detach())


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("scaled", [True, False])
def test_second_derivatives_of_a_batchs_normalisation(scaled, dtype):
    pytest.importorskip("numba")
    a, t, g = (draw(20, 6, 4, 4, seed=s, dtype=dtype) for s in range(3))
    scale, shift = (draw(6, seed=s, dtype=dtype) for s in range(2))

    def all_of():
        values, at = a.clone().requires_grad_(), t.clone().requires_grad_()
        given = (scale.clone().requires_grad_(), shift) if scaled else (None, None)
        normal = BatchNormed.apply(values, *given, 1e-5)[0]
        (back,) = torch.autograd.grad(normal, values, at, create_graph=True)
        wanted = (values, at, given[0]) if scaled else (values, at)
        return torch.autograd.grad(back, wanted, g)

    found = all_of()
    with compiled(False):
        wanted = all_of()
    assert not torch.equal(found[0], wanted[0])
    for one, other in zip(found, wanted, strict=True):
        same(one, other, 20 * TOLERANCE[dtype])


def test_the_way_back_through_an_inverse_relu():
    rate = draw(3, 20, 4, 4).relu().requires_grad_()
    t = draw(3, 20, 4, 4, seed=2).requires_grad_()
    carried = inverse_relu(rate, draw(3, 20, 4, 4, seed=1).sigmoid(), 0.5)
    (at,) = torch.autograd.grad(carried, rate, t, create_graph=True)
    same(at.detach(), t.detach() * (rate > 0))
    (again,) = torch.autograd.grad(at.square().sum(), t)
    same(again, 2 * at.detach())


@pytest.mark.parametrize("scope", ["all", "pair"])
@pytest.mark.parametrize("pooled", [False, True])
def test_the_discriminators_delta_times_a_factor(scope, pooled):
    form = Form(pooled=pooled and scope == "all", spread=True, scope=scope)
    shapes = ((5, 4), (10, 6), (5, 3))
    reading = [draw(*shape, seed=9) for shape in shapes]
    weights = Weights(reading, draw(10), draw(10, seed=1), [draw(r[0]) for r in shapes], [])
    at = potential(weights, form, [draw(8, shape[1]) for shape in shapes])
    own = read(weights, form, at)
    gradient = state_gradient(weights, at, own.sent)
    whole, part = (
        discriminator_plasticity(weights, form, at, own, own, gradient, -1.0, factor)
        for factor in (1.0, 0.9)
    )
    for found, wanted in zip(part.tensors.values(), whole.tensors.values(), strict=True):
        same(found, 0.9 * wanted)
