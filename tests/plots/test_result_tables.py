"""Tables of results: what they hold, and that they fit 100 columns."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from neuro_aws.cli import tables
from neuro_aws.experiment import compare, results
from neuro_aws.metrics.initial import INITIALLY
from neuro_aws.metrics.statistics import Estimate, differences, last_values
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Expectation
from tests.conftest import TINY

NONE = Estimate(np.nan, np.nan, np.nan, 0)
VALUES = [
    ("target_activity_relative", 1, "cells"),
    ("spared_activity_relative", 1, "cells"),
    ("dream_covariance_correlation", 1, ""),
    ("target_potential", 1, "cells"),
    ("linear_probe_noisy", 1, ""),
    ("ach_gap", -1, ""),
    ("linear_probe_noisy", 2, ""),
]
ARMS = [
    "control",
    "rem_silenced",
    "rem_silenced_ach_clamped",
    "rem_silenced_no_feedforward",
    *(f"arm_number_{k}" for k in range(11)),
]


def printed(drawn) -> str:
    out = io.StringIO()
    Console(file=out, width=tables.console().width).print(drawn)
    return out.getvalue()


def made(arms: list[str], animals: int, gains: pd.DataFrame | None = None) -> str:
    rng = np.random.default_rng(0)
    rows = [
        (animal, arm, "end", 9, 90, *key, -rng.beta(1, 30))
        for arm in arms
        for animal in range(animals)
        for key in VALUES
    ]
    metrics = pd.DataFrame(rows, columns=["animal", *results.KEYS, "value"])
    metrics["value"] += np.where(metrics["name"] == "linear_probe_noisy", 1.0, 0.0)
    table = results.at_end(results.summary(metrics))
    apart = differences(last_values(metrics), dict.fromkeys(arms, arms[0]))
    return printed(tables.results(table, arms, animals, apart, gains))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9, 15])
@pytest.mark.parametrize("animals", [1, 2, 8])
def test_tables_fit_100_columns_and_break_no_number(count, animals):
    text = made(ARMS[:count], animals)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line.count("[") == line.count("]") for line in lines)
    assert "…" not in text
    flat = " ".join(text.split())
    for name in ("control", "onset = 1", "metrics.csv"):
        assert name in flat
    assert text.count("Δ") == (count - 1) * 6 + (count > 1)  # main values, and the caption


def test_a_value_s_name_takes_two_lines_at_most():
    lines = made(ARMS[:7], 8).splitlines()
    heads = [k for k, line in enumerate(lines) if line.startswith("arm ")]
    assert heads
    for head in heads:
        above = [line for line in lines[max(0, head - 4) : head] if line.strip()]
        assert sum("target" in line or "activity" in line for line in above) <= 2


def test_only_the_main_values_are_shown_by_measure_and_the_table_says_where_the_rest_is():
    text = made(ARMS[:2], 8)
    assert "target potential" not in text
    assert "1 more values" in text
    probe, gap = text.rindex("linear probe"), text.index("ach gap")
    assert probe < gap  # measured before and after it, shown in one piece


GAINS = pd.DataFrame(
    [
        ("control", name, layer, "", 0.9, -0.03, low, high, n)
        for name, layer in [("linear_probe_noisy", 1), ("linear_probe_noisy", 2), ("ach_gap", -1)]
        for low, high, n in [(-0.04, -0.02, 8)]
    ],
    columns=["arm", "name", "layer", "group", INITIALLY, *Estimate._fields],
)


@pytest.mark.parametrize("count", [1, 7])
def test_values_that_random_weights_give_stand_beside_those_at_initialisation(count):
    text = made(ARMS[:count], 8, GAINS)
    assert text.count("initially 0.9") == text.count("gain -0.030 [-0.040, -0.020]") == 2
    assert "gain: paired difference" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100
    gap = text[text.index("ach gap") :]
    assert "initially" not in gap.split("linear probe")[0]
    assert "gain" not in made(ARMS[:count], 8)


def test_expectations_are_shown_with_the_initial_value_and_whether_it_would_do():
    asked = {"arm": "control", "period": "late", "layer": 1, "value": "linear_probe"}
    began, found = (Estimate(x, np.nan, np.nan, 1) for x in (0.96, 0.95))
    verdicts = [
        results.Verdict(Expectation(**asked, between=(0.9, 1)), found, True, "", began, True),
        results.Verdict(
            Expectation(**asked, between=(-0.1, -0.001), since="initial"),
            Estimate(-0.01, np.nan, np.nan, 1),
            True,
            "",
            began,
            False,
        ),
    ]
    lines = [line.split() for line in printed(tables.expectations(verdicts)).splitlines()]
    rows = [line for line in lines if line[:1] == ["control"]]
    assert rows[0][-2:] == ["0.96,", "met"]
    assert rows[1][-2:] == ["met", "0.96"]
    assert rows[1][1:3] == ["gain", "in"]
    nothing = printed(tables.expectations([v._replace(initially=NONE) for v in verdicts]))
    assert "initially" not in nothing


def test_one_animal_has_no_interval_in_the_table():
    text = made(ARMS[:7], 1)
    assert "one animal, no interval" in text
    assert "95 %" not in text
    assert "[" not in text


MORE = "  silenced_twice: {reference: rem_silenced}\nrecord:"
PROTOCOL = Protocol.from_text(TINY.replace("record:", MORE), "tiny.yaml")


def finished(folder, animals: int) -> SimpleNamespace:
    """Return what tables need of a run: animals differ, the same animal is the same."""
    arms = list(PROTOCOL.tree.arms)
    rows = [
        (animal, arm, "critical_period", 4, 70, name, layer, "", 0.1 * k + 0.02 * animal + 0.01 * j)
        for j, arm in enumerate(arms)
        for animal in range(animals)
        for k, (name, layer) in enumerate([("ach_gap", -1), ("linear_probe", 1)])
    ]
    metrics = pd.DataFrame(rows, columns=["animal", *results.KEYS, "value"])
    return SimpleNamespace(
        folder=folder, metrics=metrics, arms=arms, animals=range(animals), protocol=PROTOCOL
    )


def test_a_reference_of_an_arm_s_own_is_honoured_in_results_and_in_json(tmp_path):
    one = finished(tmp_path, 3)
    found = results.against_reference(one, one.metrics)
    pairs = set(zip(found["arm"], found["reference"], strict=True))
    assert pairs == {("rem_silenced", "control"), ("silenced_twice", "rem_silenced")}
    one.animals = [0, 1, 2]
    results.write(one)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert {r["reference"] for r in document["differences"]["rows"]} == {"control", "rem_silenced"}
    assert {r["interval"] for r in document["summary"]} == {"Student's t", "Wilson"}


def test_two_runs_are_compared_over_the_animals_of_both_arm_by_arm_and_to_the_reference(tmp_path):
    table = compare.measures(finished(tmp_path, 3), finished(tmp_path, 2))
    assert set(table["n_1"]) == {3}
    assert set(table["n_2"]) == set(table["n"]) == {2}
    assert (table["mean"] == 0).all()  # the same animals, the same values
    effect = table[table["reference"] == "control"]
    assert effect["mean_1"].tolist() == pytest.approx([0.01, 0.01])
    text = printed(tables.comparison(table))
    assert max(map(len, text.splitlines())) <= 100
    assert "rem silenced - control" in text
    assert "silenced twice -" in text
    assert "3 and 2 animals, 2 of them in both" in text
