"""Sums over the batch, unit by unit, of states (batch, units)."""

from typing import Any

import numpy as np

from neuro_aws.functional.compiled.kernel import kernel


@kernel
def spread(state: Any, mean: Any, deviation: Any, squares: Any) -> None:
    """mean = < h >; deviation = h - mean; squares = sum of deviation^2; < > is the batch mean."""
    batch, units = state.shape
    mean[:] = 0
    squares[:] = 0
    share = mean.dtype.type(1 / batch)
    for s in range(batch):
        for k in range(units):
            mean[k] += state[s, k]
    for k in range(units):
        mean[k] *= share
    for s in range(batch):
        for k in range(units):
            d = state[s, k] - mean[k]
            deviation[s, k] = d
            squares[k] += d * d


@kernel
def directed(share: Any, g: Any, signed: bool, deviation: Any, q: Any, total: Any) -> None:
    """q = g, or its sign; total_k = sum_s share_s q_sk deviation_sk, if ``deviation`` has rows."""
    zero = g.dtype.type(0)
    total[:] = 0
    for s in range(q.shape[0]):
        given, into = g[s], q[s]
        for k in range(into.size):
            d = given[k]
            into[k] = g.dtype.type(d > zero) - g.dtype.type(d < zero) if signed else d
        if deviation.shape[0]:
            own, apart = share[s], deviation[s]
            for k in range(into.size):
                total[k] += own * into[k] * apart[k]


@kernel
def directed_low(share: Any, g: Any, deviation: Any, q: Any, total: Any) -> None:
    """As ``directed``, signed, with q in bfloat16: 1, -1 and 0 as the upper bits of a float32."""
    zero, up, down = g.dtype.type(0), np.uint16(0x3F80), np.uint16(0xBF80)
    total[:] = 0
    for s in range(q.shape[0]):
        given, into = g[s], q[s]
        for k in range(into.size):
            d = given[k]
            into[k] = up if d > zero else (down if d < zero else np.uint16(0))
        if deviation.shape[0]:
            own, apart = share[s], deviation[s]
            for k in range(into.size):
                d = given[k]
                one = g.dtype.type(d > zero) - g.dtype.type(d < zero)
                total[k] += own * one * apart[k]
