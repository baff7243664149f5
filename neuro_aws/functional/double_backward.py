"""Normalisations that are differentiated twice in few passes: what R's penalty needs.

The penalty of the readout discriminator reads the gradient of R(F(x)), so autograd runs through its
own backward pass. Left to itself it takes the two normalisations apart into hundreds of broadcasts;
here their first and second derivatives are written out (checked by ``gradgradcheck``).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from neuro_aws.functional import fused


class Pooled(Function):
    """y = v / r,  r = sqrt(sum_k v_k^2 / c + epsilon): values, axis, c, epsilon -> y, r.

        dv = (dy - y <dy y>) / r            with < > the sum over the axis / c
    and for a gradient G that arrives at dv
        at dy   (G - y <G y>) / r
        at v    (y (3 <G y> <dy y> - <G dy>) - G <dy y> - dy <G y>) / r^2
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        """Return y and r; r is not differentiated."""
        values, ctx.axis, ctx.c, epsilon = inputs
        compiled = _compiled(ctx.axis, values)
        if compiled is None:
            total = torch.linalg.vector_norm(values, dim=ctx.axis, keepdim=True).square_()
            pool = total.div_(ctx.c).add_(epsilon).sqrt_()
            normal = values / pool
        else:
            normal, pool = torch.empty_like(values), _by_position(values)
            compiled.pooled(ctx.c, epsilon, *map(fused.rows_of, (values, normal, pool)))
        ctx.save_for_backward(values, normal, pool)
        ctx.mark_non_differentiable(pool)
        return normal, pool

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradient at v."""
        values, normal, pool = ctx.saved_tensors
        at_values = _PooledBack.apply(  # type: ignore[no-untyped-call]
            grads[0], values, normal.detach(), pool, ctx.axis, ctx.c
        )
        return at_values, None, None, None


class _PooledBack(Function):
    """The way back of ``Pooled`` as a function of dy and v."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        at_normal, _, normal, pool, ctx.axis, ctx.c = inputs
        compiled = _compiled(ctx.axis, at_normal, normal)
        if compiled is None:
            shared = (at_normal * normal).sum(ctx.axis, keepdim=True).div_(ctx.c)
            found = torch.addcmul(at_normal, normal, shared, value=-1).div_(pool)
        else:
            found, shared = torch.empty_like(normal), torch.empty_like(pool)
            maps = (at_normal, normal, pool, found, shared)
            compiled.pooled_back(ctx.c, *map(fused.rows_of, maps))
        ctx.save_for_backward(at_normal, normal, pool, shared)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        arriving, (at_normal, normal, pool, shared) = grads[0], ctx.saved_tensors
        compiled = _compiled(ctx.axis, arriving, at_normal, normal)
        if compiled is not None:
            at_at_normal, at_values = torch.empty_like(normal), torch.empty_like(normal)
            maps = (arriving, at_normal, normal, pool, shared, at_at_normal, at_values)
            compiled.pooled_back_twice(ctx.c, *map(fused.rows_of, maps))
            return at_at_normal, at_values, None, None, None, None
        other = (arriving * normal).sum(ctx.axis, keepdim=True).div_(ctx.c)
        both = (arriving * at_normal).sum(ctx.axis, keepdim=True).div_(ctx.c)
        at_at_normal = torch.addcmul(arriving, normal, other, value=-1).div_(pool)
        bent = normal * (3 * other * shared - both)
        bent.addcmul_(arriving, shared, value=-1).addcmul_(at_normal, other, value=-1)
        return at_at_normal, bent.div_(pool * pool), None, None, None, None


def _compiled(axis: int, *tensors: Tensor) -> Any:
    """Return the kernels that take maps row by row, where these are maps."""
    return fused.kernels("psi", *tensors) if tensors[0].dim() == 4 and axis == 1 else None


def _by_position(values: Tensor) -> Tensor:
    """Return room for one number a position, (batch, 1, height, width)."""
    batch, _, high, wide = values.shape
    return values.new_empty(batch, 1, high, wide)


class BatchNormed(Function):
    """z = scale y + shift,  y = (v - mean v) i,  i = 1 / sqrt(var v + epsilon), by channel.

    v, scale, shift, epsilon -> z, mean, i. With < > the mean over batch and positions
        dv = scale i (dz - <dz> - y <dz y>)
    and for a gradient G that arrives at dv
        at dz      scale i (G - <G> - y <G y>)
        at scale   i n (<G dz> - <G><dz> - <G y><dz y>)
        at v       - scale i^2 (y (<G dz> - <G><dz> - 3 <G y><dz y>) + <dz y> (G - <G>)
                                + <G y> (dz - <dz>))
    Gradients of those at scale and shift are not differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        """Return z, mean and i; the last two are not differentiated."""
        raw, scale, shift, ctx.epsilon = inputs
        value, mean, inverse = torch.native_batch_norm(
            raw, scale, shift, None, None, True, 0.0, ctx.epsilon
        )
        ctx.save_for_backward(raw, scale, mean, inverse)
        ctx.mark_non_differentiable(mean, inverse)
        return value, mean, inverse

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradients at v, scale and shift."""
        found = _BatchNormedBack.apply(  # type: ignore[no-untyped-call]
            grads[0], *ctx.saved_tensors, ctx.epsilon
        )
        return *found, None


class _BatchNormedBack(Function):
    """The way back of ``BatchNormed`` as a function of dz, v and scale."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        at_value, raw, scale, mean, inverse, epsilon = inputs
        ctx.save_for_backward(at_value, raw, scale, mean, inverse)
        wanted = [True, scale is not None, scale is not None]
        found = torch.ops.aten.native_batch_norm_backward(
            at_value, raw, scale, None, None, mean, inverse, True, epsilon, wanted
        )
        ctx.mark_non_differentiable(*(f for f in found[1:] if f is not None))
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        arriving, (at_value, raw, scale, mean, inverse) = grads[0], ctx.saved_tensors
        g, d, g_raw, d_raw, both = _means(arriving, at_value, raw)
        g_y, d_y = (g_raw - g * mean) * inverse, (d_raw - d * mean) * inverse
        joint = both - g * d
        times = inverse if scale is None else scale * inverse
        slope, k = g_y * inverse, -times * inverse
        of_raw = k * (joint - 3 * g_y * d_y) * inverse
        constant = -of_raw * mean - k * (d_y * g + g_y * d)
        at_at, at_raw = _combined(
            arriving, at_value, raw,
            [times, -times * slope, times * (slope * mean - g), k * d_y, of_raw, k * g_y, constant],
        )  # fmt: skip
        count = raw.numel() // raw.shape[1]
        at_scale = None if scale is None else inverse * count * (joint - g_y * d_y)
        return at_at, at_raw, at_scale, None, None, None


def _means(g: Tensor, d: Tensor, v: Tensor) -> Sequence[Tensor]:
    """Return < g >, < d >, < g v >, < d v >, < g d > by channel, over batch and positions."""
    compiled = fused.kernels("channels", g, d, v) if v.dim() == 4 else None
    if compiled is None:
        others = [axis for axis in range(v.dim()) if axis != 1]
        return [found.mean(others) for found in (g, d, g * v, d * v, g * d)]
    total = v.new_empty(5, v.shape[1])
    compiled.sums(*map(fused.rows_of, (g, d, v)), fused.array(total))
    return total.mul_(v.shape[1] / v.numel()).unbind()


def _combined(g: Tensor, d: Tensor, v: Tensor, by: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return by_0 g + by_1 v + by_2 and by_3 g + by_4 v + by_5 d + by_6, by channel."""
    compiled = fused.kernels("channels", g, d, v) if v.dim() == 4 else None
    if compiled is None:
        of = [factor.view(1, -1, *[1] * (v.dim() - 2)) for factor in by]
        one = torch.addcmul(of[2], g, of[0].expand_as(g)).addcmul_(v, of[1])
        other = torch.addcmul(of[6], g, of[3].expand_as(g)).addcmul_(v, of[4]).addcmul_(d, of[5])
        return one, other
    one, other = torch.empty_like(v), torch.empty_like(v)
    factors = fused.array(torch.stack(by))
    maps = map(fused.rows_of, (g, d, v))
    compiled.combine(*maps, factors, fused.rows_of(one), fused.rows_of(other))
    return one, other
