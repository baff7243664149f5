"""Means, intervals and tests over animals; which kind of interval a value gets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from neuro_aws.protocol import registry
from neuro_aws.protocol.registry import ValueInfo

CONFIDENCE = 0.95
STUDENT, WILSON, FISHER = "Student's t", "Wilson", "Fisher's z"
LARGEST_R = 0.9999
"""Fisher's z of 1 is infinite: a correlation beyond this counts as this."""

DUST = 1e-12
"""A difference smaller than this is one of rounding."""


def kind_of(name: str) -> str:
    """Return the kind of interval that stays in a value's range."""
    info = registry.value(name)
    if info.unit == "correlation":
        return FISHER
    return WILSON if math.isfinite(info.low) and math.isfinite(info.high) else STUDENT


class Estimate(NamedTuple):
    """A mean over animals with its 95 % interval; the interval is nan where n < 2."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "-"
        if math.isnan(self.low) or self.low == self.high == 0:
            alone = f"{0.0 if abs(self.mean) < DUST else self.mean:.3g}"
            return alone if math.isnan(self.low) else f"{alone} [0, 0]"
        digits = _digits(self.high - self.low, self.mean)
        mean, low, high = (_fixed(v, digits) for v in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def _digits(width: float, mean: float) -> int:
    """Return the decimals that show two figures of half an interval, three of a mean without."""
    size, figures = (width / 2, 2) if width > max(DUST, 1e-6 * abs(mean)) else (abs(mean), 3)
    if size == 0 or not math.isfinite(size):
        return 2
    return min(6, max(0, figures - 1 - math.floor(math.log10(size))))


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


@lru_cache(maxsize=256)
def _quantile(degrees: int) -> float:
    """Return the t value that leaves 2.5 % above it."""
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees))


def estimate(values: ArrayLike, name: str | None = None, kind: str | None = None) -> Estimate:
    """Return the mean of the finite values with the 95 % interval that suits the value's range.

    The kind follows from the value's ``name``; ``kind`` says it where there is no such value (a
    share is then from 0 to 1). Neither, or a value that is not bounded on both sides: Student's t.

    Shares and accuracies: Wilson's score interval. The trials of a share (cells, stimuli) are not
    independent within an animal, so its variance is the one between animals: with
    k = t^2 s^2 / (n m (1 - m)), it is the set of mu for which (m - mu)^2 <= k mu (1 - mu), that is

        (m + k / 2 +- sqrt(k m (1 - m) + k^2 / 4)) / (1 + k)

    It lies in [0, 1], and its coverage with few animals is nearer to 95 % than that of a bootstrap
    over animals. Animals that do not differ give an interval of no width, as with t.

    Correlations: mean and t interval of atanh(r), turned back with tanh (Fisher's z).
    """
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    n = len(x)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    if n == 1:
        return Estimate(float(x[0]), math.nan, math.nan, 1)
    kind = kind or (STUDENT if name is None else kind_of(name))
    if kind == FISHER:
        mean, low, high = _student(np.arctanh(np.clip(x, -LARGEST_R, LARGEST_R)))
        return Estimate(math.tanh(mean), math.tanh(low), math.tanh(high), n)
    if kind == WILSON:
        info = registry.value(name) if name else ValueInfo("", "", low=0.0, high=1.0)
        least, most = info.low, info.high
        size = most - least
        low, high = _wilson(np.clip((x - least) / size, 0.0, 1.0))
        return Estimate(float(x.mean()), least + size * low, least + size * high, n)
    return Estimate(*_student(x), n)


def _student(x: NDArray[np.float64]) -> tuple[float, float, float]:
    mean = float(x.mean())
    half = _quantile(len(x) - 1) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return mean, mean - half, mean + half


def _wilson(x: NDArray[np.float64]) -> tuple[float, float]:
    m, variance = float(x.mean()), float(x.var(ddof=1)) / len(x)
    if variance == 0:
        return m, m
    k = _quantile(len(x) - 1) ** 2 * variance / (m * (1 - m))
    half = math.sqrt(k * m * (1 - m) + k * k / 4)
    return max(0.0, (m + k / 2 - half) / (1 + k)), min(1.0, (m + k / 2 + half) / (1 + k))


def caption(names: Iterable[str], animals: int, *, differences: bool = False, who: str = "") -> str:
    """Return what mean and interval of these values are, for a table or a figure."""
    who = who or f"{animals} animals"
    if animals < 2:
        return "one animal, no interval"
    kinds = {kind_of(name) for name in names}
    words = {
        WILSON: "Wilson for shares, accuracies and indices",
        FISHER: "Fisher's z for correlations",
    }
    special = [text for kind, text in words.items() if kind in kinds]
    rest = [] if kinds <= set(words) and not differences else ["Student's t"]
    if special and rest:
        rest = ["Student's t otherwise" + (", also for paired differences" if differences else "")]
    return f"mean and 95 % interval over {who} ({'; '.join([*special, *rest])})"


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


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for all of these tests (Holm 1979); nan are no tests.

    In ascending order p_(k) is multiplied by the tests not yet rejected, m - k, and never falls
    below the one before it.
    """
    order = sorted((k for k, value in enumerate(p) if not math.isnan(value)), key=lambda k: p[k])
    corrected, largest = [math.nan] * len(p), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[k]))
        corrected[k] = largest
    return corrected


VALUE_KEYS = ["name", "layer", "group"]


def last_values(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the rows measured last in each arm."""
    return metrics[metrics["step"] == metrics.groupby("arm")["step"].transform("max")]


def paired_values(
    metrics: pd.DataFrame, references: Mapping[str, str], *, by: Sequence[str] = ()
) -> pd.DataFrame:
    """Return every animal's value in an arm minus the same animal's in the arm's reference.

    ``metrics`` has one row for an animal, arm, name, layer and group (such as ``last_values``
    gives), or for these and the columns ``by``, such as step; ``references`` names the reference of
    each arm. An arm that is its own reference, or whose reference was not run, has no rows.
    """
    keys = ["animal", *VALUE_KEYS, *by]
    parts = []
    for arm, reference in references.items():
        if arm == reference:
            continue
        mine, other = (metrics.loc[metrics["arm"] == a, [*keys, "value"]] for a in (arm, reference))
        both = mine.merge(other, on=keys, suffixes=("", "_reference"))
        both["value"] = both["value"] - both.pop("value_reference")
        parts.append(both.assign(arm=arm, reference=reference))
    columns = ["arm", "reference", *keys, "value"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def differences(last: pd.DataFrame, references: Mapping[str, str]) -> pd.DataFrame:
    """Return mean and t interval over animals of every arm's paired difference to its reference."""
    keys = ["arm", "reference", *VALUE_KEYS]
    rows = [
        (*key, *estimate(part["value"].to_numpy()))
        for key, part in paired_values(last, references).groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, *Estimate._fields])
