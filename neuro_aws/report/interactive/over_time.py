"""Signals over time below a hypnogram, of one animal in one arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.plots.style import readable
from neuro_aws.report.interactive.basic import (
    ROW,
    Floats,
    canvas,
    glyph,
    marked,
    plain,
    plain_text,
    stacked,
)

HYPNOGRAM = 96
"""Pixels: the height of the phases."""

TIME = "time"
"""Name of the range that the buttons of a page zoom."""


@dataclass(frozen=True)
class Strand:
    """What is drawn in one colour of a row: mean, lowest and highest of every stretch of steps.

    Where stretches are single steps, ``low`` and ``high`` are None; ``colours`` are those of each.
    """

    label: str
    mean: Floats
    low: Floats | None = None
    high: Floats | None = None
    colour: str = ""
    colours: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """One signal over time."""

    title: str
    strands: Sequence[Strand]
    from_zero: bool = False


@dataclass(frozen=True)
class Level:
    """One line of a hypnogram: the share of every stretch that it fills."""

    label: str
    colour: str
    share: Floats


def over_time(
    edges: NDArray[np.int64],
    levels: Sequence[Level],
    rows: Sequence[Row],
    marks: Mapping[int, str],
    unit: str = "step",
    per_step: float = 1.0,
    phases: Sequence[str] = (),
) -> Any:
    """Draw signals below a hypnogram, on one time axis that all share.

    ``edges`` are the first steps of the stretches, and the step after the last; ``marks`` are
    dotted lines with a name, at steps; ``per_step`` is a step in units of the axis. ``phases``: the
    phase of every step, where stretches are single steps.
    """
    from bokeh.models import ColumnDataSource, Range1d

    at = edges * per_step
    span = Range1d(at[0], at[-1], bounds=(float(at[0]), float(at[-1])), name=TIME)
    data: dict[str, Any] = {
        "left": at[:-1],
        "right": at[1:],
        "middle": (at[:-1] + at[1:]) / 2,
        "from": edges[:-1].astype("i4"),
        "to": (edges[1:] - 1).astype("i4"),
    }
    if len(phases):
        data["phase"] = list(phases)
    for i, level in enumerate(levels):
        data[f"bottom{i}"] = np.full(len(level.share), i + 0.06, "f4")
        data[f"top{i}"] = (i + 0.06 + 0.88 * level.share).astype("f4")
        data[f"share{i}"] = level.share.astype("f4")
    source = ColumnDataSource({name: _small(column) for name, column in data.items()})
    drawn = [_hypnogram(source, levels, span, marks, per_step)]
    drawn += [_row(source, k, row, span, marks, per_step) for k, row in enumerate(rows)]
    drawn[-1].xaxis.axis_label = plain_text(unit)
    for one in drawn[:-1]:
        one.xaxis.visible = False
    drawn[-1].height += 36
    return stacked(drawn)


def _small(column: Any) -> Any:
    return column.astype("f4") if getattr(column, "dtype", None) == np.float64 else column


def _steps(source: Any) -> tuple[str, str]:
    single = "phase" in source.data
    return ("step", "@from, @phase") if single else ("steps", "@from to @to")


def _hypnogram(
    source: Any, levels: Sequence[Level], span: Any, marks: Mapping[int, str], per_step: float
) -> Any:
    from bokeh.models import FixedTicker, HoverTool, Label

    drawn = canvas("phases", HYPNOGRAM + 15 * len(marks), x_range=span)
    room = 0.8 * len(marks)
    drawn.y_range.start, drawn.y_range.end = 0, len(levels) + room
    for i, level in enumerate(levels):
        _quad(drawn, source, f"top{i}", f"bottom{i}", fill_color=level.colour)
    drawn.yaxis.ticker = FixedTicker(ticks=[i + 0.5 for i in range(len(levels))])
    drawn.yaxis.major_label_overrides = {i + 0.5: one.label for i, one in enumerate(levels)}
    drawn.ygrid.visible = False
    marked(drawn, marks, per_step)
    for k, (step, name) in enumerate(marks.items()):
        drawn.add_layout(
            Label(
                x=step * per_step,
                y=len(levels) + room * (1 - (k + 1) / len(marks)),
                text=readable(name),
                text_font_size="10px",
                x_offset=3,
                text_color="#333333",
            )
        )
    whole = _quad(drawn, source, len(levels), 0, fill_alpha=0)
    shares = [(one.label, f"@share{i}{{0 %}}") for i, one in reversed(list(enumerate(levels)))]
    tips = [_steps(source), *([] if "phase" in source.data else shares)]
    drawn.add_tools(HoverTool(renderers=[whole], tooltips=tips, point_policy="follow_mouse"))
    return drawn


def _row(
    source: Any, k: int, row: Row, span: Any, marks: Mapping[int, str], per_step: float
) -> Any:
    from bokeh.models import HoverTool

    drawn = canvas(row.title, ROW, x_range=span)
    tips = [_steps(source)]
    lows, highs = [], []
    for i, strand in enumerate(row.strands):
        name = f"row{k}_{i}"
        source.data[name] = strand.mean.astype("f4")
        tip = f"@{name}{{0.0000}}" if plain(strand.mean) else f"@{name}{{0.000e+0}}"
        colour: Any = strand.colour
        if strand.colours:
            source.data[f"{name}_colour"] = list(strand.colours)
            colour = f"{name}_colour"
        low, high = strand.mean, strand.mean
        if strand.low is not None and strand.high is not None:
            low, high = strand.low, strand.high
            source.data[f"{name}_low"] = low.astype("f4")
            source.data[f"{name}_high"] = high.astype("f4")
            _quad(drawn, source, f"{name}_high", f"{name}_low", fill_color=colour, fill_alpha=0.35)
            tip = "{} ({} to {})".format(
                tip, tip.replace(name, f"{name}_low"), tip.replace(name, f"{name}_high")
            )
        ends = {"x0": "left", "x1": "right", "y0": name, "y1": name}
        glyph(drawn, source, "Segment", **ends, line_color=colour, line_width=2)
        tips.append((strand.label, tip))
        lows.append(np.nanmin(low, initial=np.inf))
        highs.append(np.nanmax(high, initial=-np.inf))
    bottom, top = (0.0 if row.from_zero else min(lows)), max(highs)
    if not top >= bottom:  # nothing was recorded in these steps
        bottom, top = 0.0, 1.0
    margin = 0.06 * (top - bottom) or 1.0
    drawn.y_range.start = bottom - margin * (not row.from_zero)
    drawn.y_range.end = top + margin
    whole = _quad(drawn, source, top + margin, bottom - margin, fill_alpha=0)
    drawn.add_tools(HoverTool(renderers=[whole], tooltips=tips, point_policy="follow_mouse"))
    marked(drawn, marks, per_step)
    return drawn


def _quad(drawn: Any, source: Any, top: Any, bottom: Any, **look: Any) -> Any:
    place = {"left": "left", "right": "right", "top": top, "bottom": bottom}
    return glyph(drawn, source, "Quad", **place, line_color=None, **look)
