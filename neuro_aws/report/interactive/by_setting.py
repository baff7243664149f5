"""Values against a setting: animals as points, means with intervals, an arm in each colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro_aws.plots.style import readable
from neuro_aws.report.interactive.basic import ROW, canvas, glyph, plain_text, stacked
from neuro_aws.report.interactive.by_arm import Dots

BESIDE = 0.018
"""How far arms stand apart, as a share of the axis."""


@dataclass(frozen=True)
class Panel:
    """What is drawn on one axis: what stands above it, and where which point lies."""

    title: str
    ticks: Mapping[float, str]
    points: Sequence[tuple[float, str, Dots]]
    """Where on the axis, what point that is, and an arm's animals there."""
    lines: bool
    """Whether means are joined: where the axis is a number."""


def by_setting(panels: Sequence[Panel], arms: Sequence[str], label: str) -> Any:
    """Draw panels one below the other, each on the same axis of a setting."""
    drawn = [_panel(panel, arms) for panel in panels]
    drawn[-1].xaxis.axis_label = plain_text(label)
    drawn[-1].height += 36
    return stacked(drawn)


def _panel(panel: Panel, arms: Sequence[str]) -> Any:
    from bokeh.models import ColumnDataSource, DataRange1d, FixedTicker, HoverTool, Range1d

    one = canvas(panel.title, ROW + 62)
    first, last = min(panel.ticks), max(panel.ticks)
    size = (last - first) or 1.0
    one.x_range = Range1d(first - 0.12 * size, last + 0.12 * size)
    one.y_range = DataRange1d(range_padding=0.08)
    one.xaxis.ticker = FixedTicker(ticks=list(panel.ticks))
    one.xaxis.major_label_overrides = {x: plain_text(text) for x, text in panel.ticks.items()}
    for k, arm in enumerate(arms):
        apart = BESIDE * size * (k - (len(arms) - 1) / 2)
        mine = [(x + apart, name, dots) for x, name, dots in panel.points if dots.arm == arm]
        if not mine:
            continue
        colour = mine[0][2].colour
        animals: dict[str, list[Any]] = {"x": [], "y": [], "animal": [], "at": []}
        means: dict[str, list[Any]] = {"x": [], "y": [], "low": [], "high": [], "at": [], "n": []}
        for x, name, dots in mine:
            for animal, value in dots.values.items():
                _add(animals, x, value, animal, name)
            e = dots.found
            low, high = (e.low, e.high) if np.isfinite(e.low) else (e.mean, e.mean)
            _add(means, x, e.mean, low, high, name, e.n)
        of_means = ColumnDataSource(means)
        bar = {"x0": "x", "x1": "x", "y0": "low", "y1": "high"}
        glyph(one, of_means, "Segment", **bar, line_color=colour, line_width=2)
        if panel.lines:
            glyph(one, of_means, "Line", x="x", y="y", line_color=colour)
        look = {"line_color": colour, "line_width": 3, "size": 14}
        ends = glyph(one, of_means, "Scatter", x="x", y="y", marker="dash", **look)
        look = {"fill_color": colour, "line_color": None, "size": 6, "fill_alpha": 0.5}
        dots_of = glyph(one, ColumnDataSource(animals), "Scatter", x="x", y="y", **look)
        head = ("", f"{readable(arm)}, @at")
        tip = "@y{0.0000} [@low{0.0000}, @high{0.0000}], @n animals"
        one.add_tools(
            HoverTool(renderers=[ends], tooltips=[head, ("mean", tip)]),
            HoverTool(
                renderers=[dots_of],
                tooltips=[head, ("animal", "@animal"), ("value", "@y{0.0000}")],
            ),
        )
    return one


def _add(columns: dict[str, list[Any]], *row: Any) -> None:
    for column, cell in zip(columns.values(), row, strict=True):
        column.append(cell)
