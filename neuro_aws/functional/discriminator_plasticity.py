"""How the wake/sleep discriminator learns: Eq. 3 under a gradient penalty, written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from neuro_aws.functional import fused
from neuro_aws.functional.discriminator import (
    Form,
    Potential,
    Reading,
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
    share, direction = _penalty_slope(form, gradient)
    lowered = [q.to(h.dtype) for q, h in zip(direction, at.states, strict=True)]
    image, spread_share = _image(weights, at, direction, lowered, share)
    through = times_slope(image, penalised.potential, form)
    moved, bent = _curvature(weights.readout, penalised, through)
    signal = reading.sent * (sign / batch)
    if bent is not None:
        signal = signal - times_slope(bent, penalised.potential, form)
    low = at.states[0].dtype
    together = bent is None and reading is penalised
    carried = signal if factor == 1 else signal * factor
    if not together:  # both products as one, over the samples of both
        carried = torch.cat([carried, penalised.sent * (-factor * share)], -2)
    carried = carried.to(low)
    changes = []
    for h, q, u in zip(at.states, lowered, weights.units, strict=True):
        if together:
            reached = torch.addcmul(h, (share * (batch * sign)).to(low), q, value=-1)
        else:
            reached = torch.cat([h, q], -2)
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
        share, direction = _penalty_slope(form, parts)
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


def _penalty_slope(form: Form, gradient: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
    """Return dpenalty/dg as one factor a sample (..., batch, 1) times a direction by state."""
    each = form.penalty / gradient[0].shape[-2]
    if form.penalty_form == "l2":
        return (2 * each * (1 - 1 / _norm(gradient))).unsqueeze(-1), gradient
    direction = [torch.sign(g) for g in gradient]
    if form.penalty_form == "l1":
        return (each * torch.sign(_norm_l1(gradient) - 1)).unsqueeze(-1), direction
    return torch.full_like(gradient[0][..., :1], each), direction


def _image(
    weights: Weights,
    at: Potential,
    direction: Sequence[Tensor],
    lowered: Sequence[Tensor],
    share: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """Return t = sum_j V_j q_j (..., batch, U), and a_j = q_j . ds_j/dh_j of every spread."""
    image = torch.zeros_like(at.value)
    add_read(image, weights, lowered)
    image *= share
    felt = []
    for j, s in enumerate(at.spreads):
        a = (_weighted(share, direction[j], s.deviation) * s.slope).sum(-1)
        image[..., weights.units[j]] += (a[..., None] * weights.spread[j]).unsqueeze(-2)
        felt.append(a)
    return image, felt


def _weighted(share: Tensor, direction: Tensor, deviation: Tensor) -> Tensor:
    """Return the sum over samples of share_s q_sk deviation_sk (..., n)."""
    compiled = fused.kernels("columns", direction, deviation) if direction.dim() == 2 else None
    if compiled is None:
        return (share.mT @ (direction * deviation)).squeeze(-2)
    total = direction.new_empty(direction.shape[-1])
    shares = share.reshape(-1).contiguous()
    compiled.weighted(*map(fused.array, (shares, direction, deviation, total)))
    return total


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
