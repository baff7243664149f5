"""Homeostasis of a drive over time: running statistics of each unit's own, none of them learnt."""

from typing import NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.batch_norm import EPSILON, Normed


class Statistics(NamedTuple):
    """Mean and variance of each unit's drive, (units,)."""

    mean: Tensor
    variance: Tensor


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
    centred = (normed.raw - _along(normed.mean, axis, signal)) * _along(inverse, axis, signal)
    return at_raw, (signal * centred).sum(others), signal.sum(others)


def _along(values: Tensor, axis: int, like: Tensor) -> Tensor:
    """Return one value a unit in a shape that multiplies ``like``."""
    return values if axis % like.dim() == like.dim() - 1 else values.view(-1, 1, 1)
