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
from neuro_aws.metrics.statistics import differences, last_values
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

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


def made(arms: list[str], animals: int) -> str:
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
    return printed(tables.results(table, arms, animals, apart))


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
