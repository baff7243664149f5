"""Means with intervals over animals, against something that has an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro_aws.metrics.statistics import Estimate
from neuro_aws.report.interactive.basic import (
    ROW,
    Floats,
    canvas,
    glyph,
    marked,
    plain_text,
    stacked,
)


@dataclass(frozen=True)
class Course:
    """A mean with its interval over animals, against something."""

    label: str
    colour: str
    x: Floats
    found: Sequence[Estimate]
    dashes: bool = False
    """A dash of one step each, with its interval as a bar, in place of a line and a band."""


def courses(
    rows: Sequence[tuple[str, Sequence[Course]]], x_label: str, mark: float | None = 0.0
) -> Any:
    """Draw rows of courses one below the other, (title, courses), on one x axis."""
    from bokeh.models import ColumnDataSource, DataRange1d, HoverTool

    span = DataRange1d(range_padding=0.02)
    drawn = []
    for title, mine in rows:
        one = canvas(title, ROW + 22, x_range=span, y_range=DataRange1d(range_padding=0.08))
        for course in mine:
            bands = any(np.isfinite(e.low) for e in course.found)
            source = ColumnDataSource(
                {
                    "x": np.asarray(course.x, "f4"),
                    "mean": np.array([e.mean for e in course.found], "f4"),
                    "low": np.array([e.low if bands else e.mean for e in course.found], "f4"),
                    "high": np.array([e.high if bands else e.mean for e in course.found], "f4"),
                }
            )
            colour, level = course.colour, {"y0": "mean", "y1": "mean"}
            if course.dashes:
                source.data["end"] = np.asarray(course.x, "f4") + 1
                look = {"line_color": colour, "line_width": 3}
                glyph(one, source, "Segment", x0="x", x1="end", **level, **look)
                bar = {"x0": "x", "x1": "x", "y0": "low", "y1": "high"}
                glyph(one, source, "Segment", **bar, line_color=colour)
            else:
                band = {"x": "x", "y1": "low", "y2": "high", "fill_color": colour}
                glyph(one, source, "VArea", **band, fill_alpha=0.25)
                glyph(one, source, "Line", x="x", y="mean", line_color=colour, line_width=1.5)
            look = {"fill_color": colour, "line_color": None, "size": 4}
            points = glyph(one, source, "Scatter", x="x", y="mean", **look)
            tip = f"{course.label}: @mean{{0.000}}" + (" [@low{0.000}, @high{0.000}]" * bands)
            one.add_tools(HoverTool(renderers=[points], tooltips=[("", tip), ("at", "@x{0}")]))
        if mark is not None:
            marked(one, {int(mark): ""}, 1.0)
        drawn.append(one)
    drawn[-1].xaxis.axis_label = plain_text(x_label)
    drawn[-1].height += 36
    return stacked(drawn)
