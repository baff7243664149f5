"""Pearson's r with the null it is to be compared with: over steps, and over samples of a batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHUFFLES = 1000
NORMAL = 1.959964
"""The standard normal's 97.5th percentile."""

FEWEST = 10
"""Points, below which there is no correlation to speak of."""

OF_SHIFTS = "95 % of r when one of the two is shifted in a circle by random steps"
"""What the null of ``correlation`` is, for tables and figures."""

OF_SHUFFLES = "95 % of r when the stimuli of every batch are shuffled"
"""What the null of ``within_batches`` is."""


@dataclass(frozen=True)
class Correlation:
    """Pearson's r of n points, and the range that 95 % of it fall into where nothing is related."""

    r: float
    low: float
    high: float
    n: int

    @property
    def beyond(self) -> bool:
        """Say whether r lies outside its null."""
        return bool(self.r < self.low or self.r > self.high)

    def __str__(self) -> str:
        if np.isnan(self.r):
            return "too few" if self.n < FEWEST else "does not vary"
        return f"r = {self.r:+.2f} (null {self.low:+.2f} to {self.high:+.2f})"


def correlation(x: NDArray[Any], y: NDArray[Any]) -> Correlation:
    """Return r of two series with its null: one of the two in a circular shift by random steps.

    A circular shift breaks the pairing and keeps the slow drifts that both series have; a plain
    permutation would destroy them, and any two drifts would count as evidence.
    """
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(np.nan, np.nan, np.nan, len(x))
    a, b = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    r = float(np.mean(a * b))
    shifts = np.random.default_rng(0).integers(1, len(a), SHUFFLES)
    around = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), len(a)) / len(a)
    low, high = np.quantile(around[shifts], [0.025, 0.975])
    return Correlation(r, float(low), float(high), len(x))


def by_batch(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return r of every batch, (batches, samples) -> (batches,); nan where one does not vary."""
    a, b = (_standardised(np.asarray(values, dtype=float)) for values in (x, y))
    return np.asarray((a * b).mean(1))


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std(1, keepdims=True)
    spread[spread <= 1e-9 * np.abs(values).max(1, keepdims=True)] = np.nan
    return np.asarray((values - values.mean(1, keepdims=True)) / spread)


def within_batches(x: NDArray[Any], y: NDArray[Any]) -> Correlation:
    """Return the mean over batches of r within a batch, (batches, samples).

    What batches have in common, such as the drift of both over a run, does not count. The null is
    the same mean with the samples of every batch shuffled, which is what they are where the one
    says nothing of the other: r of a shuffled batch of B has mean 0 and variance 1 / (B - 1)
    exactly, and the mean over batches is taken as normal. n is the number of samples.
    """
    r = by_batch(x, y)
    r = r[np.isfinite(r)]
    batch = np.shape(x)[1]
    if len(r) * batch < FEWEST or batch < 2:
        return Correlation(np.nan, np.nan, np.nan, len(r) * batch)
    half = NORMAL / np.sqrt(len(r) * (batch - 1))
    return Correlation(float(r.mean()), -half, half, len(r) * batch)


def without_groups(values: NDArray[Any], groups: NDArray[Any]) -> NDArray[np.float64]:
    """Return values minus the mean of their group (label), over all batches."""
    flat, names = np.asarray(values, dtype=float).ravel(), np.asarray(groups).ravel()
    _, index = np.unique(names, return_inverse=True)
    means = np.bincount(index, flat) / np.bincount(index)
    return np.asarray((flat - means[index]).reshape(np.shape(values)))
