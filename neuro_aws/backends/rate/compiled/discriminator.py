"""ACh as the discriminator reads it, and how the discriminator learns.

The equations are those of ``functional/discriminator.py`` and ``discriminator_plasticity.py``,
for D without a pool, without spread and noise, under the penalty of all states together.
"""

from typing import Any

import numpy as np

from neuro_aws.backends.rate.compiled.layout import (
    CARRIED,
    FIRING,
    GRADIENT,
    IMAGE,
    SIGNAL,
    C,
    Plan,
    Space,
    U,
    Y,
    readers,
    reading,
    rows,
)
from neuro_aws.backends.rate.compiled.products import product
from neuro_aws.functional.compiled.kernel import kernel, part
from neuro_aws.functional.discriminator_plasticity import NORM_EPSILON


@part
def read(plan: Plan, space: Space, weights: Any, level: Any) -> None:
    """u = sum_j V_j h_j + b, y = LeakyReLU(u), c = r LeakyReLU'(u), D = r . y of each sample."""
    n, batch, hidden = plan.depth + 1, level.size, space.hidden.shape[2]
    real = weights.dtype.type
    one, slope = real(1), real(plan.slope)
    bias, readout = weights[-2 * hidden : -hidden], weights[-hidden:]
    for s in range(batch):
        at = space.hidden[U, s]
        for k in range(hidden):
            at[k] = bias[k]
    for j in range(n):
        at, v = readers(space, plan, U, j), reading(weights, plan, j)
        product(rows(space, plan, FIRING, j), False, v, True, at, 1.0, 1.0)
    for s in range(batch):
        at, rate, sent, total = space.hidden[U, s], space.hidden[Y, s], space.hidden[C, s], real(0)
        for k in range(hidden):
            steep = one if at[k] > 0 else slope
            rate[k] = at[k] * steep
            sent[k] = readout[k] * steep
            total += rate[k] * readout[k]
        level[s] = total


@part
def send_back(plan: Plan, space: Space, weights: Any, batch: int) -> None:
    """g_j = V_j^T c: dD/dh of every state, through the weights given."""
    for j in range(plan.depth + 1):
        sent = readers(space, plan, C, j)
        product(
            sent,
            False,
            reading(weights, plan, j),
            False,
            rows(space, plan, GRADIENT, j),
            1.0,
            0.0,
        )


@kernel
def send_back_at_random(plan: Plan, space: Space, weights: Any, batch: int) -> None:
    """g_j = V'_j^T r' LeakyReLU'(u), with fixed random V' and r' (``layer_random``)."""
    hidden = space.hidden.shape[2]
    readout, real = weights[-hidden:], weights.dtype.type
    one, slope = real(1), real(plan.slope)
    for s in range(batch):
        at, carried = space.hidden[U, s], space.hidden[CARRIED, s]
        for k in range(hidden):
            carried[k] = readout[k] * (one if at[k] > 0 else slope)
    for j in range(plan.depth + 1):
        sent = readers(space, plan, CARRIED, j)
        product(
            sent,
            False,
            reading(weights, plan, j),
            False,
            rows(space, plan, space.sent, j),
            1.0,
            0.0,
        )


@part
def discriminator_delta(
    plan: Plan, space: Space, weights: Any, batch: int, sign: float, delta: Any
) -> None:
    """delta = the ascent direction of sign <D> - lambda <(||g||_2 - 1)^2>.

        dV_j = < (sign c) (h_j - z g_j)^T >
        db = < sign c >
        dr = < sign y - t LeakyReLU'(u) >

    Symbols: z = 2 lambda sign (1 - 1 / ||g||) of each sample, and t = 2 lambda (1 - 1 / ||g||)
    sum_j V_j g_j the image of g at the hidden units.
    """
    n, hidden = plan.depth + 1, space.hidden.shape[2]
    real = weights.dtype.type
    one, slope = real(1), real(plan.slope)
    space.hidden[IMAGE, :] = 0
    for j in range(n):
        at, v = readers(space, plan, IMAGE, j), reading(weights, plan, j)
        product(rows(space, plan, GRADIENT, j), False, v, True, at, 1.0, 1.0)
    bias, readout = delta[-2 * hidden : -hidden], delta[-hidden:]
    bias[:] = 0
    readout[:] = 0
    mean, each = real(sign / batch), real(2.0 * plan.penalty / batch)
    for s in range(batch):
        square = real(0)
        for j in range(n):
            g = rows(space, plan, GRADIENT, j)[s]
            for k in range(g.size):
                square += g[k] * g[k]
        share = each * (one - one / np.sqrt(square + real(NORM_EPSILON)))
        z = share * real(batch * sign)
        for j in range(n):
            g = rows(space, plan, GRADIENT, j)[s]
            h = rows(space, plan, FIRING, j)[s]
            reached = rows(space, plan, SIGNAL, j)[s]
            for k in range(g.size):
                reached[k] = h[k] - z * g[k]
        at, rate, sent = space.hidden[U, s], space.hidden[Y, s], space.hidden[C, s]
        image, carried = space.hidden[IMAGE, s], space.hidden[CARRIED, s]
        for k in range(hidden):
            steep = share if at[k] > 0 else share * slope
            readout[k] += rate[k] * mean - image[k] * steep
            carried[k] = sent[k] * mean
            bias[k] += carried[k]
    for j in range(n):
        post, pre = (
            readers(space, plan, CARRIED, j),
            rows(space, plan, SIGNAL, j),
        )
        product(post, True, pre, False, reading(delta, plan, j), 1.0, 0.0)
