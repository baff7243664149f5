"""Animals as points with mean and interval, a row for each arm, or whatever they are of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np

from neuro_aws.metrics.statistics import Estimate
from neuro_aws.plots.style import readable
from neuro_aws.report.interactive.basic import canvas, glyph, stacked, zero

LETTERS, ROOM = 20, 124
"""Of a line of an arm's name, and pixels for it."""


@dataclass(frozen=True)
class Dots:
    """What animals of one arm have: value by animal, and mean with interval."""

    arm: str
    colour: str
    values: Mapping[int, float]
    found: Estimate


def by_arm(groups: Sequence[tuple[str, Sequence[Dots]]], *, zero_in_first: bool = False) -> Any:
    """Draw animals as points, with mean and interval, an arm a row; (title, arms) a group.

    Groups after the first are differences, with a line at 0; with ``zero_in_first`` all are.
    """
    from bokeh.models import ColumnDataSource, FixedTicker, HoverTool

    drawn = []
    for number, (title, arms) in enumerate(groups):
        names = [fill(readable(dots.arm), LETTERS) for dots in arms]
        tallest = max((name.count("\n") + 1 for name in names), default=1)
        height = 46 + len(names) * max(24, 8 + 13 * tallest)
        one = canvas(title, height)
        one.min_border_left = ROOM
        places = [len(arms) - 1 - i for i in range(len(arms))]
        one.y_range.start, one.y_range.end = -0.6, len(arms) - 0.4
        one.yaxis.ticker = FixedTicker(ticks=places)
        one.yaxis.major_label_overrides = dict(zip(places, names, strict=True))
        one.ygrid.visible = False
        if number or zero_in_first:
            zero(one)
        data: dict[str, list[Any]] = {"x": [], "y": [], "animal": [], "arm": [], "colour": []}
        means: dict[str, list[Any]] = {
            "mean": [], "low": [], "high": [], "y": [], "arm": [], "colour": [], "n": [],
        }  # fmt: skip
        for place, dots in zip(places, arms, strict=True):
            for animal, value in dots.values.items():
                row = (value, place, animal, readable(dots.arm), dots.colour)
                for key, cell in zip(data, row, strict=True):
                    data[key].append(cell)
            e = dots.found
            if e.n > 1:
                row_of_mean = (e.mean, e.low, e.high, place, readable(dots.arm), dots.colour, e.n)
                for key, cell in zip(means, row_of_mean, strict=True):
                    means[key].append(cell)
        source = ColumnDataSource(means)
        bar = {"x0": "low", "x1": "high", "y0": "y", "y1": "y"}
        glyph(one, source, "Segment", **bar, line_color="colour", line_width=2)
        look = {"line_color": "colour", "line_width": 3, "size": 20, "angle": np.pi / 2}
        ends = glyph(one, source, "Scatter", x="mean", y="y", marker="dash", **look)
        look = {"fill_color": "colour", "line_color": None, "size": 7, "fill_alpha": 0.55}
        points = glyph(one, ColumnDataSource(data), "Scatter", x="x", y="y", **look)
        tip = "@mean{0.0000} [@low{0.0000}, @high{0.0000}], @n animals"
        one.add_tools(
            HoverTool(renderers=[ends], tooltips=[("", "@arm"), ("mean", tip)]),
            HoverTool(
                renderers=[points],
                tooltips=[("", "@arm"), ("animal", "@animal"), ("value", "@x{0.0000}")],
            ),
        )
        drawn.append(one)
    return stacked(drawn)
