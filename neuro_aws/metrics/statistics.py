"""Means, intervals and tests over animals."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A mean over animals with its 95 % interval (Student's t); nan where n < 2."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.mean:.3g}"
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def estimate(values: ArrayLike) -> Estimate:
    """Return the mean of the finite values with its 95 % t interval."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    if len(x) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = float(x.mean())
    if len(x) < 2:
        return Estimate(mean, math.nan, math.nan, len(x))
    error = float(x.std(ddof=1)) / math.sqrt(len(x))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 1)) * error
    return Estimate(mean, mean - half, mean + half, len(x))


class PairedTest(NamedTuple):
    """Difference a - b over the same animals, with its 95 % interval and paired t test."""

    difference: Estimate
    t: float
    p: float


def _aligned(*values: ArrayLike) -> list[NDArray[np.float64]]:
    """Return arrays of the animals that all share, where the values are indexed by animal."""
    if all(isinstance(v, pd.Series) for v in values):
        table = pd.concat(list(values), axis=1, join="inner")  # type: ignore[call-overload]
        return [table.iloc[:, k].to_numpy(float) for k in range(len(values))]
    return [np.asarray(v, dtype=float) for v in values]


def paired(a: ArrayLike, b: ArrayLike) -> PairedTest:
    """Compare two arms of the same animals; Series are paired by their index."""
    first, second = _aligned(a, b)
    d = first - second
    d = d[np.isfinite(d)]
    if len(d) < 2 or float(d.std(ddof=1)) == 0.0:
        return PairedTest(estimate(d), math.nan, math.nan)
    result = stats.ttest_1samp(d, 0.0)
    return PairedTest(estimate(d), float(result.statistic), float(result.pvalue))


def interaction(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> PairedTest:
    """Return the interaction (a - b) - (c - d) of a 2 x 2 over the same animals."""
    w, x, y, z = _aligned(a, b, c, d)
    return paired(w - x, y - z)
