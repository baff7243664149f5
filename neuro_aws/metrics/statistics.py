"""Means, intervals and tests over animals; which kind of interval a value gets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
STUDENT, WILSON, FISHER = "Student's t", "Wilson", "Fisher's z"
LARGEST_R = 0.9999
"""Fisher's z of 1 is infinite: a correlation beyond this counts as this."""

DUST = 1e-12
"""A difference smaller than this is one of rounding."""


class ValueInfo(NamedTuple):
    """What is known of a value: its unit, the range it cannot leave, whether tables show it."""

    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    main: bool = False


def _share(unit: str, main: bool = False) -> ValueInfo:
    return ValueInfo(unit, 0.0, 1.0, main)


def _positive(unit: str, main: bool = False) -> ValueInfo:
    return ValueInfo(unit, 0.0, math.inf, main)


_R = ValueInfo("correlation", -1.0, 1.0, main=True)
_VALUES: dict[str, ValueInfo] = {
    "target_activity": _positive("rate"),
    "target_activity_relative": _positive("onset = 1", main=True),
    "spared_activity_relative": _positive("onset = 1", main=True),
    "target_spared_ratio": _positive("ratio"),
    "target_potential": ValueInfo("drive"),
    "target_never_active": _share("share of cells", main=True),
    "spared_never_active": _share("share of cells"),
    "target_dendrite": _positive("rate"),
    "target_feedforward": _positive("onset = 1"),
    "wake_to_plain_dreams": _positive("distance"),
    "wake_to_perturbed_dreams": _positive("distance"),
    "move_to_perturbed": ValueInfo("distance", main=True),
    "ach_gap": ValueInfo("D", main=True),
    "ach_gap_perturbed": ValueInfo("D"),
    "fresh_classifier": _share("accuracy", main=True),
    "linear_probe": _share("accuracy", main=True),
    "linear_probe_noisy": _share("accuracy", main=True),
    "reconstruction": _positive("share of variance", main=True),
    "sliced_distance": _positive("stimulus units", main=True),
    "sliced_distance_real": _positive("stimulus units"),
    "diversity": _positive("data = 1", main=True),
    "frechet_classifier": _positive("feature units squared", main=True),
    "frechet_classifier_real": _positive("feature units squared"),
    "frechet_samples": _positive("images"),
    "frechet_reference": _positive("images"),
    "extractor_accuracy": _share("accuracy"),
    "neighbour_distance": _positive("distance over pixels"),
    "neighbour_distance_real": _positive("distance over pixels"),
    "log_likelihood": ValueInfo("nats per unit", main=True),
    "svm_10fold": _share("accuracy", main=True),
    "svm_10fold_spread": _positive("accuracy"),
    "ocular_dominance": ValueInfo("index", -1.0, 1.0, main=True),
    "ocular_dominance_response": ValueInfo("index", -1.0, 1.0),
    "preferring_share": _share("share of cells", main=True),
    "class_response": _positive("mean response = 1"),
    "class_distance": _positive("distance"),
    "wake_rate": _positive("Hz"),
    "rem_rate": _positive("Hz"),
    "prediction_error": _positive("spikes squared"),
    "prediction_error_relative": _positive("first = 1", main=True),
    "count_variance": _positive("spikes squared"),
    "dream_rate_correlation": _R,
    "dream_rate_distance": _positive("Hz"),
    "dream_rate_distance_relative": _positive("first = 1"),
    "dream_covariance_correlation": _R,
    "dream_covariance_size": _positive("wake = 1"),
    "ach_auc": _share("area under ROC", main=True),
    "ach_wake": ValueInfo("logit"),
    "ach_rem": ValueInfo("logit"),
    "wake_rem_probe": _share("accuracy"),
    "spike_probe": _share("accuracy", main=True),
    "target_rate": _positive("Hz"),
    "target_rate_relative": _positive("onset = 1", main=True),
    "spared_rate_relative": _positive("onset = 1", main=True),
    "match": _R,
    "match_teacher_off": _R,
    "match_error": _positive("(15 mV)^2"),
    "match_error_relative": _positive("first = 1", main=True),
}


def value_info(name: str) -> ValueInfo:
    """Return what is known of a value; nothing is known of a measure of somebody's own."""
    return _VALUES.get(name, ValueInfo())


def kind_of(name: str) -> str:
    """Return the kind of interval that stays in a value's range."""
    info = value_info(name)
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
        info = value_info(name) if name else _share("")
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
