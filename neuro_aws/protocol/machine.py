"""How fast this machine is, measured in a moment: the unit of all estimates. No torch here."""

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from threadpoolctl import threadpool_limits

REFERENCE_CALL = 6e-7
"""Seconds of one small-array operation on the machine that figures of costs were taken on."""


@dataclass(frozen=True)
class Machine:
    """The speed of small-array operations (seconds each), and of matrix products."""

    call: float

    @property
    def relative(self) -> float:
        """How much slower than the machine that figures of costs were taken on."""
        return self.call / REFERENCE_CALL

    @cached_property
    def products(self) -> float:
        """Floating-point operations a second of a matrix product; measured when asked for."""
        return matrix_rate()


def measured() -> Machine:
    """Return the speed of this machine, now."""
    return Machine(small_call_seconds())


def small_call_seconds() -> float:
    """Measure one small-array operation here, now: the lower quartile of some hundred blocks."""
    a = np.ones(64, np.float32)
    blocks = []
    for _ in range(300):
        start = time.perf_counter()
        for _ in range(20):
            a = a * 1.0
        blocks.append((time.perf_counter() - start) / 20)
    return float(np.quantile(blocks, 0.25))


def matrix_rate() -> float:
    """Measure floating-point operations a second of a matrix product of a layer's size."""
    a = np.ones((256, 256), np.float32)
    times = []
    with threadpool_limits(1):
        for _ in range(24):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
    return 2 * 256**3 / max(float(np.quantile(times, 0.25)), 1e-9)
