"""Set points of drives, as a slope and an offset of each unit (``model/homeostasis.py``).

a = mu + sigma (v - m) / sqrt(s + 1e-5) + theta  =  slope v + offset
"""

from typing import Any

import numpy as np

from neuro_aws.backends.rate.compiled.layout import (
    CENTRE,
    DREAM,
    INVERSE,
    NEXT_OFFSET,
    NEXT_SLOPE,
    OFFSET,
    OVER_BATCH,
    SLOPE,
    Plan,
    Space,
    Weights,
    units,
)
from neuro_aws.functional.batch_norm import EPSILON
from neuro_aws.functional.compiled.kernel import kernel, part


@part
def hold(
    plan: Plan, weights: Weights, space: Space, what: int, layer: int, raw: Any, shift: Any,
    adapting: bool,
) -> None:  # fmt: skip
    """Set slope and offset of a layer's drive in this step, and take its statistics on.

    slope = sigma / sqrt(s + 1e-5), offset = mu + theta - m slope. Symbols: m, s = mean and variance
    of each unit's drive v = ``raw`` (batch, units): over the batch its own, over time the running
    ones of the steps before; theta = ``shift``. Not held: slope 1, offset = ``shift``.

        over time    m += (<v> - m) / T,  s += (<(v - m)^2> - s) / T
        over batch   m += (<v> - m) / T,  s += (var v - s) / T,  var v unbiased

    A step that does not ``adapt`` is held by the running ones, and leaves them alone.
    """
    real = raw.dtype.type
    slope, offset = (
        units(space.holding[SLOPE, what], plan, layer),
        units(space.holding[OFFSET, what], plan, layer),
    )
    if not plan.held[what, layer]:
        for k in range(slope.size):
            slope[k] = real(1)
            offset[k] = shift[k]
        return
    centre, inverse = (
        units(space.holding[CENTRE, what], plan, layer),
        units(space.holding[INVERSE, what], plan, layer),
    )
    if plan.orthogonal and what != DREAM:
        units(space.holding[NEXT_OFFSET, what], plan, layer)[:] = units(
            weights.undone[what, 0], plan, layer
        )
        units(space.holding[NEXT_SLOPE, what], plan, layer)[:] = units(
            weights.undone[what, 1], plan, layer
        )
    means = units(weights.statistics[what, 0], plan, layer)
    variances = units(weights.statistics[what, 1], plan, layer)
    batch, rate = raw.shape[0], real(1.0 / plan.steps)
    by_batch = plan.over == OVER_BATCH and adapting
    found, spread = np.zeros_like(means), np.zeros_like(means)
    if adapting:
        moments(raw, found, spread)
    for k in range(slope.size):
        centre[k] = found[k] if by_batch else means[k]
        variance = spread[k] if by_batch else variances[k]
        inverse[k] = real(1) / np.sqrt(variance + real(EPSILON))
        slope[k] = inverse[k] * real(plan.deviation)
        added = real(plan.mean) + (shift[k] if shift.size else real(0))
        offset[k] = added - centre[k] * slope[k]
    if not adapting:
        return
    for k in range(slope.size):
        means[k] += (found[k] - means[k]) * rate
        if by_batch:
            now = spread[k] * real(batch / (batch - 1.0))
        else:
            now = spread[k] + (found[k] - means[k]) ** 2
        variances[k] += (now - variances[k]) * rate


@part
def moments(raw: Any, mean: Any, variance: Any) -> None:
    """Add each unit's mean over the batch, and its (biased) variance, to zeros."""
    share = raw.dtype.type(1.0 / raw.shape[0])
    for s in range(raw.shape[0]):
        drive = raw[s]
        for k in range(mean.size):
            mean[k] += drive[k]
    for k in range(mean.size):
        mean[k] *= share
    for s in range(raw.shape[0]):
        drive = raw[s]
        for k in range(mean.size):
            apart = drive[k] - mean[k]
            variance[k] += apart * apart
    for k in range(mean.size):
        variance[k] *= share


@part
def at_raw(
    plan: Plan, space: Space, what: int, layer: int, post: Any, raw: Any, adapting: bool
) -> None:
    """Take a signal at the potentials to the raw drive, in place.

    over time    slope t
    over batch   slope (t - <t> - x <t x>),  x = (v - m) / sqrt(s + 1e-5)
    """
    if not plan.held[what, layer]:
        return
    slope = units(space.holding[SLOPE, what], plan, layer)
    if plan.over == OVER_BATCH and adapting:
        real, batch = post.dtype.type, post.shape[0]
        centre = units(space.holding[CENTRE, what], plan, layer)
        inverse = units(space.holding[INVERSE, what], plan, layer)
        mean, along = np.zeros_like(slope), np.zeros_like(slope)
        for s in range(batch):
            signal, drive = post[s], raw[s]
            for k in range(slope.size):
                mean[k] += signal[k]
                along[k] += signal[k] * (drive[k] - centre[k]) * inverse[k]
        share = real(1.0 / batch)
        for s in range(batch):
            signal, drive = post[s], raw[s]
            for k in range(slope.size):
                x = (drive[k] - centre[k]) * inverse[k]
                signal[k] = slope[k] * (signal[k] - mean[k] * share - x * along[k] * share)
        return
    for s in range(post.shape[0]):
        signal = post[s]
        for k in range(slope.size):
            signal[k] *= slope[k]


@part
def leave_out(
    plan: Plan, weights: Weights, space: Space, what: int, layer: int, post: Any, raw: Any,
    by_sample: Any, carried: float,
) -> None:  # fmt: skip
    """Take out of a signal at the potentials what homeostasis would undo, in place.

        c w e' = c w (e - p - q z)  where e is not 0, else 0;      z = (v - m) / sqrt(s + 1e-5)
        p += k <e'>,  q += k <e' z>,  k = 2 / (T (1 + <z^2>)),  at the end of the step

    Symbols, in order: c w e = ``post``: c = ``carried`` and w = ``by_sample`` are factors that it
    carries already (w is 1 where it is empty, and only then p, q move); p, q = ``weights.undone``,
    v = ``raw``; m, s its statistics (``functional/homeostasis.py``).
    """
    if not (plan.orthogonal and plan.held[what, layer]):
        return
    real, batch = post.dtype.type, post.shape[0]
    offset = units(weights.undone[what, 0], plan, layer)
    slope = units(weights.undone[what, 1], plan, layer)
    centre = units(space.holding[CENTRE, what], plan, layer)
    inverse = units(space.holding[INVERSE, what], plan, layer)
    mean, along, square = np.zeros_like(slope), np.zeros_like(slope), np.zeros_like(slope)
    zero, one, factor = real(0), real(1), real(carried)
    for s in range(batch):
        signal, drive = post[s], raw[s]
        weight = factor * by_sample[s] if by_sample.size else factor
        for k in range(slope.size):
            z = (drive[k] - centre[k]) * inverse[k]
            left = signal[k] - weight * (offset[k] + slope[k] * z)
            left = zero if signal[k] == zero else left
            signal[k] = left
            mean[k] += left
            along[k] += left * z
            square[k] += z * z
    if by_sample.size:
        return
    next_offset = units(space.holding[NEXT_OFFSET, what], plan, layer)
    next_slope = units(space.holding[NEXT_SLOPE, what], plan, layer)
    share = one / real(batch)
    for k in range(slope.size):
        rate = real(2) / (real(plan.steps) * factor * (one + square[k] * share)) * share
        next_offset[k] = offset[k] + rate * mean[k]
        next_slope[k] = slope[k] + rate * along[k]


@kernel
def follow_undone(plan: Plan, weights: Weights, space: Space) -> None:
    """Take p and q of somata and dendrites on, at the end of a wake step that adapts."""
    for what in range(DREAM):
        for layer in range(plan.depth + 1):
            if plan.held[what, layer]:
                units(weights.undone[what, 0], plan, layer)[:] = units(
                    space.holding[NEXT_OFFSET, what], plan, layer
                )
                units(weights.undone[what, 1], plan, layer)[:] = units(
                    space.holding[NEXT_SLOPE, what], plan, layer
                )
