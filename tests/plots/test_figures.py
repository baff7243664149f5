"""Figures, by what they show: labels, units, lines, limits, fonts."""

import re
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from neuro_aws.experiment.results import KEYS
from neuro_aws.plots import figures, outcomes, spikes
from neuro_aws.plots.hypnogram import period_bar
from neuro_aws.plots.images import write_pictures
from neuro_aws.plots.style import WIDTH, figure, save, styled, value_label
from neuro_aws.plots.traces import TRACES
from neuro_aws.protocol import Protocol, registry
from tests.conftest import TINY

MORE = "  silenced_twice: {reference: rem_silenced}\nrecord:"
PROTOCOL = Protocol.from_text(TINY.replace("record:", MORE), "tiny.yaml")
ARMS = list(PROTOCOL.tree.arms)
REFERENCES = {"control": "control", "rem_silenced": "control", "silenced_twice": "rem_silenced"}


def measured(animals: int, steps: tuple[int, ...] = (40, 50, 60, 70)) -> pd.DataFrame:
    """Return rows of two values: ach_gap only at the end, never-active cells at every step."""
    rows = []
    for j, arm in enumerate(ARMS):
        for animal in range(animals):
            value = 0.1 + 0.1 * j + 0.01 * animal * (j + 1)
            rows.append((animal, arm, "critical_period", 4, steps[-1], "ach_gap", -1, "", value))
            rows += [
                (animal, arm, "critical_period", 4, s, "target_never_active", 1, "cells", value**3)
                for s in steps
            ]
    return pd.DataFrame(rows, columns=["animal", *KEYS, "value"])


def fake(animals: int) -> SimpleNamespace:
    return SimpleNamespace(
        metrics=measured(animals), arms=ARMS, animals=list(range(animals)), protocol=PROTOCOL
    )


def one_axes():
    drawn = figure(3, 2)
    return drawn, drawn.subplots()


def test_pdfs_embed_truetype_fonts_and_pngs_have_300_dots_an_inch(tmp_path):
    drawn, axes = one_axes()
    axes.set_xlabel("steps")
    pdf = save(drawn, tmp_path / "figure.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf
    assert matplotlib.image.imread(save(drawn, tmp_path / "figure.png")).shape[:2] == (600, 900)


def test_every_axis_of_a_value_or_trace_has_a_unit():
    for name in registry.VALUES:
        assert re.fullmatch(r"[^()]+\n\(.+\)", value_label(name)), name
    assert "spared" not in value_label("spared_activity_relative")
    assert value_label("somebody_s_own") == "somebody s own"
    assert all(label.endswith(")") for label in TRACES.values())


def test_differences_are_drawn_paired_a_point_an_animal():
    _, axes = one_axes()
    outcomes.against_reference(axes, measured(3), "ach_gap", ARMS, REFERENCES)
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["rem silenced", "silenced twice"]
    points = [line.get_xdata() for line in axes.lines if line.get_marker() == "."]
    assert points == [pytest.approx([0.1, 0.11, 0.12]), pytest.approx([0.1, 0.11, 0.12])]
    assert axes.get_xlabel() == "minus its reference"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first arm is at the top


def test_one_animal_has_a_point_and_no_interval():
    for animals, lines in ((1, 1), (3, 3)):
        _, axes = one_axes()
        outcomes.at_end(axes, measured(animals), "ach_gap", ["control"])
        assert len(axes.lines) == lines  # points, mean, interval
        assert axes.get_xlabel() == value_label("ach_gap")


def test_shares_over_time_stay_in_their_range():
    _, axes = one_axes()
    outcomes.over_time(axes, measured(4), "target_never_active", ARMS, 40)
    assert len(axes.lines) == len(ARMS)
    band = np.concatenate([c.get_paths()[0].vertices for c in axes.collections])
    assert band[:, 1].min() >= 0
    assert -0.1 < axes.get_ylim()[0] < 0
    assert axes.get_xlabel() == "steps since the arms parted"
    assert axes.lines[0].get_xdata()[0] == 0


@pytest.mark.parametrize("animals", [1, 3])
def test_outcomes_show_each_value_beside_its_paired_difference(animals):
    with styled():
        drawn = figures.outcome_figure(fake(animals))
    gap = [a for a in drawn.axes if a.get_xlabel() == value_label("ach_gap")]
    apart = [a for a in drawn.axes if a.get_xlabel() == "minus its reference"]
    assert len(gap) == 1
    assert len(apart) == 2
    title = drawn.get_suptitle()
    assert ("one animal, no interval" in title) == (animals == 1)
    assert ("95 %" in title) == (animals > 1)
    assert "arm minus its reference, a point an animal" in title
    assert drawn.get_size_inches()[0] <= WIDTH
    (legend,) = drawn.legends
    assert [t.get_text() for t in legend.get_texts()] == [a.replace("_", " ") for a in ARMS]


def test_outcomes_mark_what_random_weights_give():
    one = fake(2)
    rows = [(a, "common", "infancy", 0, 0, "linear_probe", 1, "", 0.8 + 0.1 * a) for a in (0, 1)]
    rows += [(a, "common", "infancy", 0, 0, "ach_gap", -1, "", 0.3) for a in (0, 1)]
    rows += [(a, arm, "x", 4, 70, "linear_probe", 1, "", 0.9) for a in (0, 1) for arm in ARMS]
    columns = ["animal", *KEYS, "value"]
    one.metrics = pd.concat([one.metrics, pd.DataFrame(rows, columns=columns)])
    with styled():
        drawn = figures.outcome_figure(one)
    marked = {
        a.get_xlabel(): [line.get_xdata().tolist() for line in a.lines if line.get_marker() == "D"]
        for a in drawn.axes
    }
    assert marked.pop(value_label("linear_probe")) == [pytest.approx([0.85] * len(ARMS))]
    assert not any(marked.values())
    assert "before anything" in drawn.legends[0].get_texts()[-1].get_text()


def overlapping(drawn) -> list[str]:
    """Return the titles that a legend covers."""
    drawn.canvas.draw()
    legends = [a.get_legend() for a in drawn.axes if a.get_legend()] + drawn.legends
    boxes = [legend.get_window_extent() for legend in legends]
    titles = [t for a in drawn.axes for t in (a.title, a._left_title, a._right_title)]
    return [
        t.get_text()
        for t in titles
        if t.get_text() and any(t.get_window_extent().overlaps(b) for b in boxes)
    ]


def test_the_legend_of_a_single_neuron_covers_no_title():
    time = np.arange(0, 4000, 1.0)
    data = {
        "potentials/time": time,
        "potentials/soma": np.sin(time / 50),
        "potentials/dendrite": np.sin(time / 50) + 0.1,
        "potentials/teacher": np.cos(time / 50),
        "potentials/taught": time < 3000,
    }
    spec = SimpleNamespace(name="neuron", spiking=SimpleNamespace(step=100, dt=1))
    run = SimpleNamespace(
        read=lambda animal, arm, path: data[path], protocol=SimpleNamespace(spec=spec)
    )
    with styled():
        drawn = spikes.neuron_figure(run, 0, "control")
        assert overlapping(drawn) == []
    (legend,) = drawn.legends
    assert len(legend.get_texts()) == 3
    assert all("15 mV" in a.get_ylabel() for a in drawn.axes)


def test_periods_are_boxes_with_their_names():
    _, axes = one_axes()
    period_bar(axes, [("infancy", 0, 60), ("critical_period", 60, 100)], 0, 100)
    assert [t.get_text() for t in axes.texts] == ["infancy", "critical period"]
    assert [t.get_position()[0] for t in axes.texts] == [30, 80]
    assert axes.get_xlim() == (0, 100)


def test_pictures_are_written_as_sheets(tmp_path):
    dreams = np.arange(64, dtype=np.uint8).repeat(4 * 5).reshape(64, 4, 5, 1)
    predicted = np.full((10, 3, 4, 5, 1), 200, np.uint8)
    first, second = write_pictures(tmp_path / "s0_control", 120, dreams, predicted)
    assert first == tmp_path / "s0_control" / "dreams_00000120.png"
    assert second.name == "predicted_00000120.png"
    one, two = (matplotlib.image.imread(p) * 255 for p in (first, second))
    assert one.shape[:2] == (2 * (8 * 5 - 1), 2 * (8 * 6 - 1))  # a pixel between, each twice
    assert two.shape[:2] == (2 * (3 * 5 - 1), 2 * (10 * 6 - 1))
    assert one[0, 0, 0] == pytest.approx(0)
    assert one[2 * 5, 2 * 6, 0] == pytest.approx(9)  # second row, second column: dream 9
    assert sorted(p.name for p in (tmp_path / "s0_control").iterdir()) == [first.name, second.name]
