"""Which of two theories? The power of an experiment, and how many animals it takes."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

ALPHA, WANTED = 0.05, 0.8
"""Level of the two-sided test, and the power that is thought enough."""

COUNTS = tuple(range(4, 21))
"""Animals of an experiment."""

REPEATS = 2000
"""Experiments that are drawn for each."""

Draws = np.random.Generator


def power(
    effects: ArrayLike,
    predicted: float,
    noise: float,
    animals: int,
    draws: Draws,
    repeats: int = REPEATS,
) -> float:
    """Return how often animals of one theory refuse what another one predicts.

        e_i = effect of a simulated animal, drawn with replacement,  + noise * xi_i      i = 1 ... n
        t   = (mean e - predicted) / (s(e) / sqrt n);   refused where |t| > t_(n-1)(1 - alpha / 2)

    effects     of the simulated animals of the theory that is true, arm minus reference
    predicted   the other theory's mean effect, taken as known
    noise       standard deviation between animals that measuring adds, in units of the effect
    animals     n
    draws       the random numbers
    repeats     how many experiments are drawn

    Animals that do not vary at all, measured without noise, refuse any other number.
    """
    simulated = np.asarray(effects, dtype=float)
    drawn = draws.choice(simulated, (repeats, animals))
    drawn = drawn + noise * draws.standard_normal((repeats, animals))
    off = drawn.mean(1) - predicted
    spread = drawn.std(1, ddof=1) / math.sqrt(animals)
    limit = float(stats.t.ppf(1 - ALPHA / 2, animals - 1))
    return float((np.abs(off) > limit * spread).mean())


class Separation(NamedTuple):
    """Two theories under one manipulation, measured with one noise.

    difference  of the mean effects, first minus second
    distance    that over the standard deviation of a measured animal (root mean square of both)
    powers      by number of animals, the lower of the two: whichever theory is true
    needed      fewest animals with which the power is enough and stays so; None: more than asked
    """

    difference: float
    distance: float
    powers: Mapping[int, float]
    needed: int | None


def separation(
    first: ArrayLike,
    second: ArrayLike,
    noise: float,
    draws: Draws,
    counts: Sequence[int] = COUNTS,
    repeats: int = REPEATS,
) -> Separation:
    """Return how well a manipulation separates two theories, from their animals' effects."""
    a, b = _finite(first), _finite(second)
    powers = {
        n: min(
            power(a, float(b.mean()), noise, n, draws, repeats),
            power(b, float(a.mean()), noise, n, draws, repeats),
        )
        for n in counts
    }
    difference = float(a.mean() - b.mean())
    spread = math.sqrt(noise**2 + (_variance(a) + _variance(b)) / 2)
    distance = abs(difference) / spread if spread else math.inf if difference else 0.0
    return Separation(difference, distance, powers, enough(powers))


def enough(powers: Mapping[int, float], wanted: float = WANTED) -> int | None:
    """Return the fewest animals from which on the power is as wanted."""
    found = None
    for n in sorted(powers, reverse=True):
        if powers[n] < wanted:
            break
        found = n
    return found


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=float)
    kept: NDArray[np.float64] = x[np.isfinite(x)]
    return kept


def _variance(x: NDArray[np.float64]) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else 0.0
