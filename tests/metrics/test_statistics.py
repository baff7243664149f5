"""Intervals stay in a value's range and cover; differences are paired; p values are corrected."""

import math

import numpy as np
import pandas as pd
import pytest

from neuro_aws.metrics.statistics import (
    FISHER,
    STUDENT,
    WILSON,
    caption,
    differences,
    estimate,
    holm,
    kind_of,
    last_values,
    paired_values,
)
from neuro_aws.protocol import registry
from neuro_aws.protocol.measures import VALUES


def test_every_value_has_a_unit_and_a_kind_that_follows_from_its_range():
    assert all(registry.value(name).unit for name in VALUES)
    assert kind_of("linear_probe") == kind_of("target_never_active") == WILSON
    assert kind_of("match") == kind_of("dream_rate_correlation") == FISHER
    assert kind_of("ach_gap") == kind_of("target_activity_relative") == STUDENT
    assert kind_of("somebody_s_own_measure") == STUDENT


@pytest.mark.parametrize("name", ["linear_probe", "match", "ocular_dominance"])
@pytest.mark.parametrize("seed", range(20))
def test_intervals_of_bounded_values_stay_in_range_and_hold_their_mean(name, seed):
    info, rng = registry.value(name), np.random.default_rng(seed)
    share = rng.beta(0.3, 4.0, rng.integers(2, 10))
    found = estimate(info.high - share * (info.high - info.low), name)
    assert info.low <= found.low < found.mean < found.high <= info.high


def test_wilson_with_the_variance_of_independent_trials_is_the_textbook_interval():
    """10 animals of one trial each, 3 hits: Wilson's interval with t for z and s^2 for pq."""
    found = estimate([1.0] * 3 + [0.0] * 7, "linear_probe")
    z, n, p = 2.262157, 9, 0.3  # t, 9 df; s^2 = p q 10 / 9
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), rel=1e-5)


@pytest.mark.parametrize(("a", "b"), [(2.0, 18.0), (5.0, 5.0), (30.0, 3.0)])
def test_intervals_of_few_animals_cover(a, b):
    rng = np.random.default_rng(0)
    found = [estimate(x, "linear_probe") for x in rng.beta(a, b, (600, 5))]
    assert 0.92 < np.mean([e.low <= a / (a + b) <= e.high for e in found]) < 0.98


def test_correlations_are_averaged_on_fishers_scale():
    found = estimate([math.tanh(z) for z in (1.0, 2.0, 3.0)], "match")
    half = 4.302653 / math.sqrt(3)
    assert found.mean == pytest.approx(math.tanh(2.0))
    assert found.low == pytest.approx(math.tanh(2.0 - half), rel=1e-6)
    assert found.high == pytest.approx(math.tanh(2.0 + half), rel=1e-6)
    assert estimate([1.0, 1.0, 0.9], "match").high <= 1.0  # z of 1 is infinite


def test_one_animal_has_no_interval_and_the_caption_says_so():
    assert str(estimate([0.25], "linear_probe")) == "0.25"
    assert caption(["linear_probe"], 1) == "one animal, no interval"
    several = caption(["linear_probe", "match", "ach_gap"], 4)
    assert "95 % interval over 4 animals" in several
    assert all(kind.split("'")[0] in several for kind in (WILSON, FISHER, STUDENT))
    assert "Wilson" not in caption(["ach_gap"], 4)
    assert "Student" not in caption(["linear_probe"], 4)


def test_numbers_show_two_figures_of_half_their_interval():
    assert str(estimate([1.0, 1.1, 1.2])) == "1.10 [0.85, 1.35]"
    assert str(estimate([1000.0, 1100.0, 1200.0])) == "1100 [852, 1348]"
    assert str(estimate([0.0, 0.0])) == "0 [0, 0]"
    assert str(estimate([])) == "-"
    assert str(estimate([1e-16])) == "0"


def test_holm_is_the_textbook_example_and_leaves_out_what_was_no_test():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_none = holm([0.01, math.nan, 0.04])
    assert with_none[0] == pytest.approx(0.02)
    assert math.isnan(with_none[1])
    assert with_none[2] == pytest.approx(0.04)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def rows(values: dict[str, list[float]], step: int = 10) -> pd.DataFrame:
    found = [
        (animal, arm, step, "ach_gap", -1, "", value)
        for arm, of in values.items()
        for animal, value in enumerate(of)
    ]
    columns = ["animal", "arm", "step", "name", "layer", "group", "value"]
    return pd.DataFrame(found, columns=columns)


def test_every_arm_is_compared_with_its_own_reference_over_the_same_animals():
    metrics = rows({"control": [1, 2, 3], "a": [2, 4, 3], "b": [9, 9, 9], "b_silenced": [9, 8]})
    metrics = pd.concat([metrics, rows({"control": [7.0, 7.0, 7.0]}, step=5)])
    references = {"control": "control", "a": "control", "b": "b", "b_silenced": "b"}
    last = last_values(metrics.sample(frac=1.0, random_state=0))
    found = differences(last, references).set_index("arm")
    assert sorted(found.index) == ["a", "b_silenced"]
    assert found.loc["a", "mean"] == 1.0
    assert found.loc["a", "high"] == pytest.approx(1.0 + 4.302653 / math.sqrt(3))
    assert (found.loc["b_silenced", "mean"], found.loc["b_silenced", "n"]) == (-0.5, 2)
    assert set(found["reference"]) == {"control", "b"}
    each = paired_values(last, references)
    assert each[each["arm"] == "a"].set_index("animal")["value"].to_dict() == {0: 1, 1: 2, 2: 0}
    assert differences(last, {"control": "control", "a": "not_run"}).empty
