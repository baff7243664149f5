"""A convolution seen from both sides: up to the layer above, down to the one below, and learning.

One kernel W (m above, n below, k, k) serves all three, for feedforward and for feedback weights
alike:

    up(h)          a[m, p]    = sum_{n, k} W[m, n, k] h[n, s p + k]       feedforward (convolution)
    down(h)        a[n, q]    = sum_{m, p} W[m, n, q - s p] h[m, p]       feedback (transposed)
    outer(y, x)    dW[m, n, k] = sum_{samples, p} y[m, p] x[n, s p + k]    what either one learns

p and q are positions, s the stride. Maps are (batch, channels, height, width), held in memory with
the channels last. Between a picture of few channels and its first layer the library's kernels are
slow on a CPU, and so they are where kernels are many and positions few; there the products are
written as matrix products over patches.

The three are derivatives of one form, <y, up(h)> = <down(y), h> = <W, outer(y, h)>, so where
autograd keeps track the derivative of each is one of the others, as often as it is asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import conv2d, conv_transpose2d, pad

from neuro_aws.functional import fused
from neuro_aws.functional.low import lowered
from neuro_aws.functional.matmul import product
from neuro_aws.functional.shapes import last

FEW_CHANNELS = 4
"""Up to so many channels below, patches and one matrix product are faster (CPU)."""

FEW_POSITIONS = 4
"""Up to so many positions above they are too: the library would reorder the kernels each time."""

MANY_WEIGHTS = 1_000_000
"""From so many weights on they are as well."""

WIDE_PATCH = 1024
"""Of patches of so many numbers what is learnt is found so, too, in bfloat16."""


class Geometry(NamedTuple):
    """Kernel side, stride and padding; ``low``: products in bfloat16."""

    kernel: int
    stride: int
    padding: int
    low: bool = False


def up(below: Tensor, weight: Tensor, g: Geometry, bias: Tensor | None = None) -> Tensor:
    """Return the potentials above: (batch, m, H / s, W / s)."""
    if _graph(below, weight):
        above = _differentiable(_up, below, weight, g)
        return above if bias is None else above + bias.view(-1, 1, 1)
    above = _up(below, weight, g)
    return above if bias is None else above.add_(bias.view(-1, 1, 1))


def down(above: Tensor, weight: Tensor, g: Geometry, bias: Tensor | None = None) -> Tensor:
    """Return the potentials below: (batch, n, s H, s W)."""
    if not _graph(above, weight):
        return _down(above, weight, g, bias)
    below = _differentiable(_down, above, weight, g)
    return below if bias is None else below + bias.view(-1, 1, 1)


def outer(above: Tensor, below: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    """Return dW (m, n, k, k), summed over samples and positions; ``weight`` is W."""
    return _learnt(above, below, g)


def _graph(a: Tensor, b: Tensor) -> bool:
    return torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)


def _up(below: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    below_, weight_ = (below.bfloat16(), lowered(weight)) if g.low else (below, weight)
    side = (below.shape[-1] + 2 * g.padding - g.kernel) // g.stride + 1
    if _by_patches(weight, g, side * side):
        by_unit = _by_unit(weight, len(below) * side * side)
        patches = _patches(below_, side, by_unit, g)
        flat = product(patches, _kernels(weight_, by_unit).T)
        above = flat.view(len(below), side, side, len(weight)).permute(0, 3, 1, 2)
    else:
        above = conv2d(below_, weight_, stride=g.stride, padding=g.padding)
    return above.to(below.dtype)


def _down(above: Tensor, weight: Tensor, g: Geometry, bias: Tensor | None = None) -> Tensor:
    above_, weight_ = (above.bfloat16(), lowered(weight)) if g.low else (above, weight)
    if _by_patches(weight, g, above.shape[-2:].numel()):
        by_unit = _by_unit(weight, len(above) * above.shape[-2:].numel())
        patches = product(_positions(above_), _kernels(weight_, by_unit))
        return _overlay(patches, above, weight.shape[1], by_unit, bias, g)
    bias_ = None if bias is None else bias.to(above_.dtype)
    below = conv_transpose2d(above_, weight_, bias_, g.stride, g.padding)
    return last(below.to(above.dtype))


def _outer(above: Tensor, below: Tensor, g: Geometry) -> Tensor:
    above_, below_ = (above.bfloat16(), below.bfloat16()) if g.low else (above, below)
    m, n, k = above.shape[1], below.shape[1], g.kernel
    like = above_.new_empty(m, n, k, k)
    wide = g.low and n * k * k >= WIDE_PATCH and above.device.type == "cpu"
    if wide or _by_patches(like, g, above.shape[-2:].numel()):
        by_unit = _by_unit(like, len(above) * above.shape[-2:].numel())
        patches = _patches(below_, above.shape[-1], by_unit, g)
        found = product(_positions(above_).T, patches).to(above.dtype)
        if by_unit:
            return found.view(m, n, k, k)
        return found.view(m, k, k, n).permute(0, 3, 1, 2).contiguous()
    stride, padding = [g.stride] * 2, [g.padding] * 2
    _, found, _ = torch.ops.aten.convolution_backward(
        above_, below_, like, None, stride, padding, [1, 1], False, [0, 0], 1,
        [False, True, False],
    )  # fmt: skip
    result: Tensor = found.to(above.dtype)
    return result


def _by_patches(weight: Tensor, g: Geometry, positions: int) -> bool:
    few = weight.shape[1] <= FEW_CHANNELS or positions <= FEW_POSITIONS
    return (few or weight.numel() >= MANY_WEIGHTS) and weight.device.type == "cpu"


def _by_unit(weight: Tensor, positions: int) -> bool:
    """Say whether patches are laid out as the kernels are: where there are more of those."""
    return len(weight) > positions


def _positions(above: Tensor) -> Tensor:
    """Return every unit's channels as a row, (batch * positions, m)."""
    return above.permute(0, 2, 3, 1).reshape(-1, above.shape[1])


def _kernels(weight: Tensor, by_unit: bool) -> Tensor:
    """Return every kernel as a row in the order of a patch, (m, k * k * n)."""
    return (weight if by_unit else weight.permute(0, 2, 3, 1)).reshape(len(weight), -1)


def _laid(maps: Tensor, side: int, g: Geometry, by_unit: bool) -> Tensor:
    """Return room for patches, (batch, side, side, k, k, n), in the order asked for."""
    batch, n, k = len(maps), maps.shape[1], g.kernel
    if by_unit:
        return maps.new_empty(batch, side, side, n, k, k).permute(0, 1, 2, 4, 5, 3)
    return maps.new_empty(batch, side, side, k, k, n)


def _patches(below: Tensor, side: int, by_unit: bool, g: Geometry) -> Tensor:
    """Return the patch under every unit above as a row, (batch * side * side, k * k * n)."""
    patches = _laid(below, side, g, by_unit)
    rows = (patches.permute(0, 1, 2, 5, 3, 4) if by_unit else patches).reshape(
        len(below) * side * side, -1
    )
    low = below.dtype is torch.bfloat16
    compiled = fused.kernels("patches", None if low else below)
    if compiled is not None:
        gather = compiled.gather_by_unit if by_unit else compiled.gather
        gather(fused.array(last(below)), fused.array(patches), g.stride, g.padding)
        return rows
    p = g.padding
    padded = pad(below.permute(0, 2, 3, 1), [0, 0, p, p, p, p])
    windows = padded.unfold(1, g.kernel, g.stride).unfold(2, g.kernel, g.stride)
    patches.copy_(windows.permute(0, 1, 2, 4, 5, 3))
    return rows


def _overlay(
    rows: Tensor, above: Tensor, n: int, by_unit: bool, bias: Tensor | None, g: Geometry
) -> Tensor:
    """Add up overlapping patches, given as rows, on the bias: (batch, n, s H, s W)."""
    batch, high, wide, k = len(above), *above.shape[-2:], g.kernel
    if by_unit:
        patches = rows.view(batch, high, wide, n, k, k).permute(0, 1, 2, 4, 5, 3)
    else:
        patches = rows.view(batch, high, wide, k, k, n)
    sides = [(side - 1) * g.stride + k - 2 * g.padding for side in (high, wide)]
    low = rows.dtype is torch.bfloat16
    compiled = fused.kernels("patches", above)
    if compiled is not None:
        maps = above.new_empty(batch, *sides, n).permute(0, 3, 1, 2)
        start = above.new_zeros(n) if bias is None else bias
        if by_unit:
            overlay, patches = compiled.overlay_by_unit, patches.to(above.dtype)
        else:
            overlay = compiled.overlay_low if low else compiled.overlay
        overlay(fused.array(patches), fused.array(start), fused.array(maps), g.stride, g.padding)
        return maps
    patches, p = patches.to(above.dtype), g.padding
    padded = above.new_zeros(batch, sides[0] + 2 * p, sides[1] + 2 * p, n)
    for i in range(k):
        for j in range(k):
            reached = padded[
                :, i : i + g.stride * high : g.stride, j : j + g.stride * wide : g.stride
            ]
            reached += patches[:, :, :, i, j]
    whole = padded[:, p : p + sides[0], p : p + sides[1]].contiguous().permute(0, 3, 1, 2)
    return whole if bias is None else whole.add_(bias.view(-1, 1, 1))


_Form = Callable[[Tensor, Tensor, Geometry], Tensor]


class _First(Function):
    """A product's way back to its first operand; the second is kept with its graph."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        """Return the product as it is."""
        value, _, ctx.second, ctx.form, ctx.g = inputs
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradients at the product and at the first operand."""
        at_first = None
        if ctx.needs_input_grad[1]:
            at_first = ctx.form(grads[0], ctx.second, ctx.g)
        return grads[0], at_first, None, None, None


class _Second(Function):
    """A product, and its way back to its second operand; the first is kept with its graph.

    Kept apart from ``_First``, since autograd runs what leads to the tensors that it is asked
    about, and no more: a gradient at the activity does not need those at the weights.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        """Return the product."""
        first, second, form, ctx.back, ctx.g = inputs
        (ctx.first,) = first
        return form(ctx.first.detach(), second, ctx.g)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradient at the second operand."""
        return None, ctx.back(grads[0], ctx.first, ctx.g), None, None, None


def _learnt(above: Tensor, below: Tensor, g: Geometry) -> Tensor:
    if not _graph(above, below):
        return _outer(above, below, g)
    return _differentiable(_outer, above, below, g)


def _learnt_from(below: Tensor, above: Tensor, g: Geometry) -> Tensor:
    return _learnt(above, below, g)


def _up_through(weight: Tensor, below: Tensor, g: Geometry) -> Tensor:
    return up(below, weight, g)


def _down_through(weight: Tensor, above: Tensor, g: Geometry) -> Tensor:
    return down(above, weight, g)


def _differentiable(form: _Form, first: Tensor, second: Tensor, g: Geometry) -> Tensor:
    """Return up, down or outer of two operands, with the other two as the ways back."""
    to_first, to_second = _BACK[form]
    value = _Second.apply((first,), second, form, to_second, g)  # type: ignore[no-untyped-call]
    found: Tensor = _First.apply(value, first, second, to_first, g)  # type: ignore[no-untyped-call]
    return found


# Of a gradient and the other operand, in this order.
_BACK: dict[Callable[..., Tensor], tuple[_Form, _Form]] = {
    _up: (down, _learnt),
    _down: (up, _learnt_from),
    _outer: (_up_through, _down_through),
}
