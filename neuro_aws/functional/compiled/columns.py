"""Sums over the batch, unit by unit, of states (batch, units)."""

from typing import Any

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
def weighted(share: Any, q: Any, deviation: Any, total: Any) -> None:
    """total_k = sum_s share_s q_sk deviation_sk."""
    total[:] = 0
    for s in range(q.shape[0]):
        own = share[s]
        for k in range(q.shape[1]):
            total[k] += own * q[s, k] * deviation[s, k]
