"""Long traces in few points, and nothing hidden: the mean of equal stretches, lowest and highest.

A stretch of one step holds the recorded value itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 500
"""Stretches at most."""


@dataclass(frozen=True)
class Thinned:
    """Mean, lowest and highest value of every stretch; nan where there is none. ``n`` values."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]


def edges(start: int, stop: int, most: int = MOST) -> NDArray[np.int64]:
    """Return the first step of each stretch, and the step after the last."""
    width = max(1, -(-(stop - start) // most))
    return np.append(np.arange(start, stop, width), stop)


def thinned(at: NDArray[Any], steps: NDArray[Any], values: NDArray[Any]) -> Thinned:
    """Return what the finite values at some steps are in every stretch."""
    count = len(at) - 1
    place = np.searchsorted(at, steps, side="right") - 1
    known = np.isfinite(values) & (place >= 0) & (place < count)
    place, values = place[known], np.asarray(values, float)[known]
    n = np.bincount(place, minlength=count)
    total = np.bincount(place, values, minlength=count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, place, values)
    np.maximum.at(high, place, values)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    return Thinned(mean, np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan), n)
