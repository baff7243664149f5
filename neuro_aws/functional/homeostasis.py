"""Homeostasis of a drive over time: running statistics of each unit's own, none of them learnt."""

from typing import NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.batch_norm import EPSILON, Normed


class Statistics(NamedTuple):
    """Mean and variance of each unit's drive, (units,)."""

    mean: Tensor
    variance: Tensor


class Undone(NamedTuple):
    """The part of each unit's learning signal that homeostasis would undo, (units,).

    offset shifts the drive by a constant, slope scales the unit's weights: a drive that is held at
    mean and variance knows neither.
    """

    offset: Tensor
    slope: Tensor


def followed(kept: Statistics, raw: Tensor, axis: int, steps: int) -> Statistics:
    """Return the running statistics after a step with the drive v.

        m  +=  (<v> - m) / T
        s  +=  (<(v - m)^2> - s) / T

    < > is the mean over the batch (and positions). Symbols: m, s = ``kept``, v = ``raw`` with its
    units along ``axis``, T = ``steps``, counted in steps of one phase. With T = 1 they are those of
    this step's batch, which the next step will be held by. Local to a unit: it reads its own drive
    and nothing else.
    """
    others = [d for d in range(raw.dim()) if d != axis % raw.dim()]
    spread, found = torch.var_mean(raw.detach(), dim=others, correction=0)
    mean = torch.lerp(kept.mean, found, 1 / steps)
    about = spread.addcmul_(found - mean, found - mean)
    return Statistics(mean, torch.lerp(kept.variance, about, 1 / steps))


def held(
    raw: Tensor,
    at: Statistics,
    scale: Tensor | None,
    shift: Tensor | None,
    axis: int,
    becomes: Statistics | None = None,
) -> tuple[Tensor, Normed]:
    """Return scale * (v - m) / sqrt(s + 1e-5) + shift, with m and s as given.

    No gradient goes through m and s. ``becomes`` is what the running statistics are after the step.
    """
    inverse = (at.variance + EPSILON).rsqrt()
    slope = inverse if scale is None else inverse * scale
    offset = -at.mean * slope if shift is None else torch.addcmul(shift, at.mean, slope, value=-1)
    value = torch.addcmul(_along(offset, axis, raw), raw, _along(slope, axis, raw))
    return value, Normed(raw, at.mean, inverse, becomes, False)


def orthogonal(
    signal: Tensor,
    normed: Normed,
    undone: Undone,
    axis: int,
    weight: Tensor | None = None,
) -> Tensor:
    """Return the learning signal without what homeostasis would undo of it.

        e'  =  e - p - q z   where e is not 0, else 0;      z = (v - m) / sqrt(s + 1e-5)

    Symbols, in order: e = ``signal`` at the held drive; p, q = ``undone``; z the drive v as it is
    held, ``normed`` (m, s its statistics). Once <e'> = <e' z> = 0, which ``undone_after`` sees to,
    the change <e' x^T> of a unit's weights w is orthogonal to w, as w . <e' x> = <e' v> = 0: it
    neither scales them, nor has it a part that a constant added to the drive would have. So it is
    on the way back through the statistics of a batch. Where nothing is to be learnt (e = 0: a
    silent ReLU, a silenced unit) nothing is. ``weight`` (broadcast to the signal) is a factor that
    it carries already, sample by sample.
    Local to a unit: two numbers of its own past.
    """
    z = _centred(normed, axis)
    expected = torch.addcmul(
        _along(undone.offset, axis, signal), z, _along(undone.slope, axis, signal)
    )
    if weight is not None:
        expected = expected * weight
    return (signal - expected).masked_fill_(signal == 0, 0)


def undone_after(
    corrected: Tensor, normed: Normed, undone: Undone, axis: int, steps: int
) -> Undone:
    """Return p and q after a step.

        p  +=  k <e'>
        q  +=  k <e' z>,      k = 2 / (T (1 + <z^2>))

    < > is the mean over the batch (and positions). Symbols: p, q = ``undone``, e' = ``corrected``,
    z as in ``orthogonal``, T = ``steps``, counted in wake steps that adapt. At its set point <z^2>
    is 1 and k is 1 / T; a drive that has left it far behind cannot make p, q diverge.
    """
    others = [d for d in range(corrected.dim()) if d != axis % corrected.dim()]
    z = _centred(normed, axis)
    rate = 2 / (steps * (1 + z.square().mean(others)))
    return Undone(
        torch.addcmul(undone.offset, rate, corrected.mean(others)),
        torch.addcmul(undone.slope, rate, (corrected * z).mean(others)),
    )


def back_held(
    signal: Tensor, normed: Normed, scale: Tensor | None, axis: int
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients at v, at scale and at shift, given the one at the normalised value.

    At v it is scale / sqrt(s + 1e-5) times the signal: a factor of the unit's own.
    """
    inverse = normed.inverse_deviation
    slope = inverse if scale is None else inverse * scale
    at_raw = signal * _along(slope, axis, signal)
    if scale is None:
        return at_raw, None, None
    others = [d for d in range(signal.dim()) if d != axis % signal.dim()]
    return at_raw, (signal * _centred(normed, axis)).sum(others), signal.sum(others)


def _centred(normed: Normed, axis: int) -> Tensor:
    """Return (v - m) / sqrt(s + 1e-5)."""
    mean, inverse = normed.mean, normed.inverse_deviation
    return (normed.raw - _along(mean, axis, normed.raw)) * _along(inverse, axis, normed.raw)


def _along(values: Tensor, axis: int, like: Tensor) -> Tensor:
    """Return one value a unit in a shape that multiplies ``like``."""
    return values if axis % like.dim() == like.dim() - 1 else values.view(-1, 1, 1)
