"""Figures one can zoom and point at. The one file that imports bokeh, an extra.

What is drawn has no title and no legend of its own: these are text of the page, which a screen
reader reads. Names that come from a protocol or a recording are set as plain text: bokeh would
read $$ in them as mathematics, and fetch a library for it.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.plots.style import readable

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

LEFT, ROW, HYPNOGRAM = 64, 118, 96
"""Pixels: room for the numbers of an axis, the height of a row, and of the phases."""

TIME = "time"
"""Name of the range that the buttons of a page zoom."""

Floats = NDArray[Any]


def refuse_missing() -> None:
    """Say what to install where bokeh is missing."""
    if importlib.util.find_spec("bokeh") is None:
        raise NeuroAWSError(
            "needs bokeh, which is not installed",
            where="report",
            next_step="pip install 'neuro-aws[report]'",
        )


def library() -> str:
    """Return the text of BokehJS, which a page carries with it."""
    from bokeh.resources import Resources

    return str(Resources(mode="inline", components=["bokeh"]).js_raw[0])


def item(model: Any) -> Any:
    """Return a model as what BokehJS embeds."""
    from bokeh.embed import json_item

    return json_item(model)


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
    drawn[-1].xaxis.axis_label = _text(unit)
    for one in drawn[:-1]:
        one.xaxis.visible = False
    drawn[-1].height += 36
    return _stacked(drawn)


def _small(column: Any) -> Any:
    return column.astype("f4") if getattr(column, "dtype", None) == np.float64 else column


def _steps(source: Any) -> tuple[str, str]:
    single = "phase" in source.data
    return ("step", "@from, @phase") if single else ("steps", "@from to @to")


def _hypnogram(
    source: Any, levels: Sequence[Level], span: Any, marks: Mapping[int, str], per_step: float
) -> Any:
    from bokeh.models import FixedTicker, HoverTool, Label

    drawn = _figure("phases", HYPNOGRAM + 15 * len(marks), x_range=span)
    room = 0.8 * len(marks)
    drawn.y_range.start, drawn.y_range.end = 0, len(levels) + room
    for i, level in enumerate(levels):
        _quad(drawn, source, f"top{i}", f"bottom{i}", fill_color=level.colour)
    drawn.yaxis.ticker = FixedTicker(ticks=[i + 0.5 for i in range(len(levels))])
    drawn.yaxis.major_label_overrides = {i + 0.5: one.label for i, one in enumerate(levels)}
    drawn.ygrid.visible = False
    _marked(drawn, marks, per_step)
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

    drawn = _figure(row.title, ROW, x_range=span)
    tips = [_steps(source)]
    lows, highs = [], []
    for i, strand in enumerate(row.strands):
        name = f"row{k}_{i}"
        source.data[name] = strand.mean.astype("f4")
        tip = f"@{name}{{0.0000}}" if _plain(strand.mean) else f"@{name}{{0.000e+0}}"
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
        _glyph(drawn, source, "Segment", **ends, line_color=colour, line_width=2)
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
    _marked(drawn, marks, per_step)
    return drawn


def _quad(drawn: Any, source: Any, top: Any, bottom: Any, **look: Any) -> Any:
    place = {"left": "left", "right": "right", "top": top, "bottom": bottom}
    return _glyph(drawn, source, "Quad", **place, line_color=None, **look)


def _plain(values: Floats) -> bool:
    """Say whether values are read better without an exponent."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    return largest == 0 or 1e-2 <= largest < 1e5


def _marked(drawn: Any, marks: Mapping[int, str], per_step: float) -> None:
    from bokeh.models import Span

    for step in marks:
        drawn.add_layout(
            Span(
                location=step * per_step,
                dimension="height",
                line_color="#777777",
                line_dash="dotted",
            )
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
        one = _figure(title, ROW + 22, x_range=span, y_range=DataRange1d(range_padding=0.08))
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
                _glyph(one, source, "Segment", x0="x", x1="end", **level, **look)
                bar = {"x0": "x", "x1": "x", "y0": "low", "y1": "high"}
                _glyph(one, source, "Segment", **bar, line_color=colour)
            else:
                band = {"x": "x", "y1": "low", "y2": "high", "fill_color": colour}
                _glyph(one, source, "VArea", **band, fill_alpha=0.25)
                _glyph(one, source, "Line", x="x", y="mean", line_color=colour, line_width=1.5)
            look = {"fill_color": colour, "line_color": None, "size": 4}
            points = _glyph(one, source, "Scatter", x="x", y="mean", **look)
            tip = f"{course.label}: @mean{{0.000}}" + (" [@low{0.000}, @high{0.000}]" * bands)
            one.add_tools(HoverTool(renderers=[points], tooltips=[("", tip), ("at", "@x{0}")]))
        if mark is not None:
            _marked(one, {int(mark): ""}, 1.0)
        drawn.append(one)
    drawn[-1].xaxis.axis_label = _text(x_label)
    drawn[-1].height += 36
    return _stacked(drawn)


@dataclass(frozen=True)
class Dots:
    """What animals of one arm have: value by animal, and mean with interval."""

    arm: str
    colour: str
    values: Mapping[int, float]
    found: Estimate


def by_arm(groups: Sequence[tuple[str, Sequence[Dots]]]) -> Any:
    """Draw animals as points, with mean and interval, an arm a row; (title, arms) a group."""
    from bokeh.models import ColumnDataSource, FixedTicker, HoverTool

    drawn = []
    for number, (title, arms) in enumerate(groups):
        names = [fill(readable(dots.arm), 18) for dots in arms]
        height = 46 + sum(max(24, 8 + 13 * (name.count("\n") + 1)) for name in names)
        one = _figure(title, height)
        one.min_border_left = 116
        places = [len(arms) - 1 - i for i in range(len(arms))]
        one.y_range.start, one.y_range.end = -0.6, len(arms) - 0.4
        one.yaxis.ticker = FixedTicker(ticks=places)
        one.yaxis.major_label_overrides = dict(zip(places, names, strict=True))
        one.ygrid.visible = False
        if number:
            _zero(one)
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
        _glyph(one, source, "Segment", **bar, line_color="colour", line_width=2)
        look = {"line_color": "colour", "line_width": 3, "size": 20, "angle": np.pi / 2}
        ends = _glyph(one, source, "Scatter", x="mean", y="y", marker="dash", **look)
        look = {"fill_color": "colour", "line_color": None, "size": 7, "fill_alpha": 0.55}
        points = _glyph(one, ColumnDataSource(data), "Scatter", x="x", y="y", **look)
        tip = "@mean{0.0000} [@low{0.0000}, @high{0.0000}], @n animals"
        one.add_tools(
            HoverTool(renderers=[ends], tooltips=[("", "@arm"), ("mean", tip)]),
            HoverTool(
                renderers=[points],
                tooltips=[("", "@arm"), ("animal", "@animal"), ("value", "@x{0.0000}")],
            ),
        )
        drawn.append(one)
    return _stacked(drawn)


def _glyph(drawn: Any, source: Any, kind: str, **fields: Any) -> Any:
    """Add a glyph by its class' name: a fifth of the models that a method of figure makes."""
    from bokeh import models

    return drawn.add_glyph(source, getattr(models, kind)(**fields))


def _zero(drawn: Any) -> None:
    from bokeh.models import Span

    drawn.add_layout(Span(location=0, dimension="height", line_color="#777777"))


def _text(text: str) -> Any:
    from bokeh.models import PlainText

    return PlainText(text=text)


def _figure(title: str, height: int, **ranges: Any) -> "Figure":
    from bokeh.models import Range1d, Title, WheelZoomTool
    from bokeh.plotting import figure

    if "x_range" in ranges:
        ranges.setdefault("y_range", Range1d(0, 1))
        tools = ["xbox_zoom", "xpan"]
        wheel = WheelZoomTool(dimensions="width", modifiers="ctrl")
    else:
        from bokeh.models import DataRange1d

        ranges = {"x_range": DataRange1d(range_padding=0.08), "y_range": Range1d(0, 1)}
        tools, wheel = ["xbox_zoom"], WheelZoomTool(dimensions="width", modifiers="ctrl")
    drawn = figure(
        height=height,
        sizing_mode="stretch_width",
        tools=[*tools, wheel, "reset"],
        active_drag=None,
        active_scroll=wheel,
        toolbar_location=None,
        min_border_left=LEFT,
        min_border_right=10,
        **ranges,
    )
    drawn.add_layout(Title(text=_text(title), text_font_size="12px", text_color="#1b1b1b"), "above")
    drawn.axis.major_label_text_font_size = "11px"
    drawn.axis.axis_label_text_font_size = "12px"
    drawn.axis.major_label_text_color = "#333333"
    drawn.xaxis.minor_tick_line_color = None
    drawn.yaxis.minor_tick_line_color = None
    drawn.yaxis.ticker.desired_num_ticks = 4
    drawn.outline_line_color = None
    return drawn


def _stacked(drawn: Sequence[Any]) -> Any:
    from bokeh.layouts import gridplot

    return gridplot(
        [[one] for one in drawn],
        sizing_mode="stretch_width",
        toolbar_location="above",
        toolbar_options={"logo": None},
    )
