"""How the wake/sleep discriminator learns: Eq. 3 under a gradient penalty, written out."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional import fused
from neuro_aws.functional.discriminator import (
    Form,
    Potential,
    Reading,
    Spread,
    Weights,
    add_read,
    pair_gradient,
    times_slope,
)
from neuro_aws.functional.matmul import product

NORM_EPSILON = 1e-12
"""Keeps the gradient's direction defined where the gradient vanishes."""


def penalty(form: Form, gradient: Sequence[Tensor]) -> Tensor:
    """Return the gradient penalty, lambda included."""
    if form.penalty_form == "l2":
        return form.penalty * (_norm(gradient) - 1).square().mean(-1)
    excess = _norm_l1(gradient) - 1
    return form.penalty * (excess.abs() if form.penalty_form == "l1" else excess).mean(-1)


def discriminator_plasticity(
    weights: Weights,
    form: Form,
    at: Potential,
    reading: Reading,
    penalised: Reading,
    gradient: Sequence[Tensor],
    sign: float,
    factor: float = 1.0,
) -> Weights:
    """Return the ascent direction of  sign * mean D - penalty  (Eq. 3; rate left to the optimiser).

    It is multiplied by ``factor``, where there are fewer numbers to multiply than in dV.

        dV_j = < (sign c - e) h_j^T > - < c' q_j^T >       db = < sign c - e >
        dr   = < sign y - p >

    with < > the batch mean; sign = +1 in wake and -1 in REM; c, y of ``reading``, and c' of the
    ``penalised`` reading (the same one, unless each has noise of its own) whose ``gradient`` is g;
    q = dpenalty/dg, t = sum_j V_j q_j its image at the hidden units; with t' = t LeakyReLU'(u),
    p = (t' - y (y . t') / U) / pool is the change of y along t', and e that of c; without a pool
    they are t' and 0. The offset, if D has one, changes by sign; the weights of a spread as V_j
    does, with s_j for h_j.
    With ``scope: pair`` the same holds pair by pair, with its own columns, units and gradient.
    """
    if form.scope == "pair":
        found = _plasticity_by_pair(weights, form, at, reading, penalised, sign)
        return _times(factor, found, [factor * change for change in found.reading])
    batch = at.value.shape[-2]
    share = _penalty_share(form, gradient)
    together = reading.pool is None and reading is penalised
    directions = [
        _directed(form, share, g, h, s, not together)
        for g, h, s in zip_longest(gradient, at.states, at.spreads)
    ]
    image, spread_share = _image(weights, at, directions, share)
    through = times_slope(image, penalised.potential, form)
    moved, bent = _curvature(weights.readout, penalised, through)
    signal = reading.sent * (sign / batch)
    if bent is not None:
        signal = signal - times_slope(bent, penalised.potential, form)
    low = at.states[0].dtype
    carried = signal if factor == 1 else signal * factor
    if not together:  # both products as one, over the samples of both
        carried = torch.cat([carried, penalised.sent * (-factor * share)], -2)
    carried = carried.to(low)
    changes = []
    for h, (q, both, _), u in zip(at.states, directions, weights.units, strict=True):
        if both is None:
            reached = torch.addcmul(h, (share * (batch * sign)).to(low), q, value=-1)
        else:
            reached = both
        changes.append(product(carried[..., u].mT, reached).to(signal.dtype))
    spread = [
        s.value[..., None] * signal[..., u].sum(-2) - a[..., None] * penalised.sent[..., u].sum(-2)
        for s, a, u in zip(at.spreads, spread_share, weights.units, strict=False)
    ]
    readout = reading.rate.sum(-2) * (sign / batch) - moved.sum(-2)
    offset = [torch.full_like(o, sign) for o in weights.offset]
    rest = Weights([], signal.sum(-2), readout, spread, offset)
    return _times(factor, rest, changes)


def _times(factor: float, rest: Weights, reading: list[Tensor]) -> Weights:
    """Return changes multiplied by a factor, beside those of V_j as they are."""
    if factor == 1:
        return rest._replace(reading=reading)
    spread, offset = ([factor * t for t in tensors] for tensors in (rest.spread, rest.offset))
    return Weights(reading, factor * rest.bias, factor * rest.readout, spread, offset)


def _plasticity_by_pair(
    weights: Weights,
    form: Form,
    at: Potential,
    reading: Reading,
    penalised: Reading,
    sign: float,
) -> Weights:
    batch, low = at.value.shape[-2], at.states[0].dtype
    signal = reading.sent * (sign / batch)
    changes = [
        product(signal[..., u].mT.to(low), h) for h, u in zip(at.states, weights.units, strict=True)
    ]
    changes = [change.to(signal.dtype) for change in changes]
    units = zip(at.spreads, weights.units, strict=False)
    spread = [s.value[..., None] * signal[..., u].sum(-2) for s, u in units]
    readout = reading.rate.sum(-2) * (sign / batch)
    for i, (u, parts) in enumerate(
        zip(weights.pairs, pair_gradient(weights, at, penalised.sent), strict=True)
    ):
        share = _penalty_share(form, parts)
        direction = [_direction(form, g) for g in parts]
        sent = penalised.sent[..., u]
        steered = (sent * share).to(low)
        image = torch.zeros_like(sent)
        for j, q in zip((i, i + 1), direction, strict=True):
            own, column = weights.rows_of(i, j), weights.columns(i, j)
            image += share * product(q.to(low), column.mT.to(low)).to(sent.dtype)
            changes[j][..., own, :] -= product(steered.mT, q.to(low)).to(sent.dtype)
            if at.spreads:
                s = at.spreads[j]
                a = ((share * q * s.deviation).sum(-2) * s.slope).sum(-1)[..., None]
                image += (a * weights.spread[j][..., own]).unsqueeze(-2)
                spread[j][..., own] -= a * sent.sum(-2)
        moved = times_slope(image, penalised.potential[..., u], form)
        readout[..., u] -= moved.sum(-2)
    return Weights(changes, signal.sum(-2), readout, spread, [])


def _penalty_share(form: Form, gradient: Sequence[Tensor]) -> Tensor:
    """Return the factor (..., batch, 1) that makes a sample's direction dpenalty/dg."""
    each = form.penalty / gradient[0].shape[-2]
    if form.penalty_form == "l2":
        return (2 * each * (1 - 1 / _norm(gradient))).unsqueeze(-1)
    if form.penalty_form == "l1":
        return (each * torch.sign(_norm_l1(gradient) - 1)).unsqueeze(-1)
    return torch.full_like(gradient[0][..., :1], each)


def _direction(form: Form, gradient: Tensor) -> Tensor:
    return gradient if form.penalty_form == "l2" else torch.sign(gradient)


class _Direction(NamedTuple):
    """Of one state: q in the precision of products; [h; q], where it is wanted; its share of t.

    ``felt`` is the sum over samples of share_s q_sk deviation_sk, None without a spread.
    """

    q: Tensor
    both: Tensor | None
    felt: Tensor | None


def _directed(
    form: Form, share: Tensor, g: Tensor, h: Tensor, s: Spread | None, both: bool
) -> _Direction:
    """Return the direction of the penalty at one state, ``both``: laid under the state itself."""
    deviation = None if s is None else s.deviation
    signed, low = form.penalty_form != "l2", h.dtype is torch.bfloat16
    compiled = fused.kernels("columns", g, deviation) if both and g.dim() == 2 else None
    if compiled is None or (low and not signed):
        q = _direction(form, g)
        felt = None if deviation is None else (share.mT @ (q * deviation)).squeeze(-2)
        q = q.to(h.dtype)
        return _Direction(q, torch.cat([h, q], -2) if both else None, felt)
    batch, units = g.shape
    whole, total = h.new_empty(2 * batch, units), g.new_empty(units)
    whole[:batch] = h
    apart = g[:0] if deviation is None else deviation
    sides = [fused.array(t) for t in (share.reshape(-1).contiguous(), g, apart)]
    outs = [fused.array(t) for t in (whole[batch:], total)]
    if low:
        compiled.directed_low(*sides, *outs)
    else:
        compiled.directed(*sides[:2], signed, sides[2], *outs)
    return _Direction(whole[batch:], whole, None if deviation is None else total)


def _image(
    weights: Weights, at: Potential, directions: Sequence[_Direction], share: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return t = sum_j V_j q_j (..., batch, U), and a_j = q_j . ds_j/dh_j of every spread."""
    image = torch.zeros_like(at.value)
    add_read(image, weights, [direction.q for direction in directions])
    image *= share
    shares = []
    for j, s in enumerate(at.spreads):
        felt = directions[j].felt
        assert felt is not None
        a = (felt * s.slope).sum(-1)
        image[..., weights.units[j]] += (a[..., None] * weights.spread[j]).unsqueeze(-2)
        shares.append(a)
    return image, shares


def _curvature(readout: Tensor, reading: Reading, t: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the change of y along t, and of dD/d(hidden rates): what the pool bends."""
    if reading.pool is None:
        return t, None
    y, r, w, n = reading.rate, reading.pool, readout.unsqueeze(-2), t.shape[-1]
    along = (y * t).sum(-1, keepdim=True)
    moved = (t - y * (along / n)) / r
    level = (y * w).sum(-1, keepdim=True)
    bent = -w * (along / (n * r * r)) - (moved * level + y * (moved * w).sum(-1, keepdim=True)) / (
        n * r
    )
    return moved, bent + y * (level * along / (n * n * r * r))


def _norm(gradient: Sequence[Tensor]) -> Tensor:
    squares = [(g * g).sum(-1) for g in gradient]
    return torch.sqrt(sum(squares[1:], squares[0]) + NORM_EPSILON)


def _norm_l1(gradient: Sequence[Tensor]) -> Tensor:
    sizes = [g.abs().sum(-1) for g in gradient]
    return sum(sizes[1:], sizes[0])
