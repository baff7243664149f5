"""Adam in one pass over memory."""

from typing import Any

import numpy as np

from neuro_aws.functional.compiled.kernel import kernel


@kernel
def step(
    delta: Any, first: Any, second: Any, change: Any, b1: float, b2: float, rate: float,
    root: float, epsilon: float,
) -> None:  # fmt: skip
    """Take the moments on, and return the change in ``change``.

        m = b1 m + (1 - b1) delta;  v = b2 v + (1 - b2) delta^2
        change = rate m / (root sqrt(v) + epsilon)

    m is ``first``, v ``second``; ``first`` is empty where b1 = 0. ``rate`` and ``root`` carry the
    corrections 1 / (1 - b1^t) and 1 / sqrt(1 - b2^t).
    """
    real = delta.dtype.type
    old, new, own, share = real(b2), real(1 - b2), real(b1), real(1 - b1)
    eta, r, e = real(rate), real(root), real(epsilon)
    if first.size:
        for k in range(delta.size):
            d = delta[k]
            m = own * first[k] + share * d
            v = old * second[k] + new * d * d
            first[k] = m
            second[k] = v
            change[k] = eta * m / (r * np.sqrt(v) + e)
    else:
        for k in range(delta.size):
            d = delta[k]
            v = old * second[k] + new * d * d
            second[k] = v
            change[k] = eta * d / (r * np.sqrt(v) + e)
