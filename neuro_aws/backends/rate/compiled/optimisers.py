"""From a Delta to the change of the weights, applied in the same pass."""

from typing import Any

import numpy as np

from neuro_aws.functional.compiled.kernel import kernel


@kernel
def adam(
    weights: Any, delta: Any, rest: Any, first: Any, second: Any, thresholds: Any, change: Any,
    rate: float, b1: float, b2: float, epsilon: float, count: int, factor: float, age: float,
    threshold_rate: float, frozen: bool,
) -> None:  # fmt: skip
    """w += change = factor eta m^ / (sqrt(v^) + eps) + age eta (1 - b1) rest / ... (same divisor).

        m = b1 m + (1 - b1) delta;  v = b2 v + (1 - b2) delta^2;  m^ = m / (1 - b1^t);  v^ likewise

    ``rest`` (empty: none) is what the samples' own gates add; ``first`` is empty where b1 is 0.
    Where ``thresholds`` (empty: none) is 1 the change is multiplied by ``threshold_rate``, and the
    moments stay as they were if ``frozen``.
    """
    real = weights.dtype.type
    unbiased = 1.0 - b1**count
    step, corrected = real(rate * factor / unbiased), real(1.0 / np.sqrt(1.0 - b2**count))
    share = real(rate * age * (1.0 - b1) / unbiased)
    keep, new, tiny = real(b2), real(1.0 - b2), real(epsilon)
    keep_first, new_first = real(b1), real(1.0 - b1)
    if not first.size and not rest.size and not thresholds.size:
        for i in range(weights.size):
            d = delta[i]
            v = keep * second[i] + new * d * d
            second[i] = v
            d = step * d / (np.sqrt(v) * corrected + tiny)
            change[i] = d
            weights[i] += d
        return
    for i in range(weights.size):
        d = delta[i]
        held = thresholds.size > 0 and thresholds[i]
        v = keep * second[i] + new * d * d
        m = d
        if first.size:
            m = keep_first * first[i] + new_first * d
        if not (held and frozen):
            second[i] = v
            if first.size:
                first[i] = m
        below = np.sqrt(v) * corrected + tiny
        d = step * m / below
        if rest.size:
            d += share * rest[i] / below
        if held:
            d *= real(threshold_rate)
        change[i] = d
        weights[i] += d


@kernel
def descent(
    weights: Any, delta: Any, rest: Any, thresholds: Any, change: Any, rate: float, factor: float,
    age: float, threshold_rate: float,
) -> None:  # fmt: skip
    """w += change = eta (factor delta + age rest)."""
    real = weights.dtype.type
    step, share, own = real(rate * factor), real(rate * age), real(threshold_rate)
    for i in range(weights.size):
        d = step * delta[i]
        if rest.size:
            d += share * rest[i]
        if thresholds.size and thresholds[i]:
            d *= own
        change[i] = d
        weights[i] += d
