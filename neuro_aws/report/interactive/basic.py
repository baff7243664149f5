"""What all figures are made of: an empty canvas in one look, glyphs, lines, plain text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

LEFT, ROW = 64, 118
"""Pixels: room for the numbers of an axis, and the height of a row."""

Floats = NDArray[Any]


def canvas(title: str, height: int, **ranges: Any) -> "Figure":
    """Return an empty figure; with ``x_range`` its x axis is one that others share."""
    """Return an empty figure; with ``x_range`` its x axis is one that others share."""
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
    drawn.add_layout(
        Title(text=plain_text(title), text_font_size="12px", text_color="#1b1b1b"), "above"
    )
    drawn.axis.major_label_text_font_size = "11px"
    drawn.axis.axis_label_text_font_size = "12px"
    drawn.axis.major_label_text_color = "#333333"
    drawn.xaxis.minor_tick_line_color = None
    drawn.yaxis.minor_tick_line_color = None
    drawn.yaxis.ticker.desired_num_ticks = 4
    drawn.outline_line_color = None
    return drawn


def stacked(drawn: Sequence[Any]) -> Any:
    """Return figures one below the other, with one row of tools."""
    """Return figures one below the other, with one row of tools."""
    from bokeh.layouts import gridplot

    return gridplot(
        [[one] for one in drawn],
        sizing_mode="stretch_width",
        toolbar_location="above",
        toolbar_options={"logo": None},
    )


def glyph(drawn: Any, source: Any, kind: str, **fields: Any) -> Any:
    """Add a glyph by its class' name: a fifth of the models that a method of figure makes."""
    from bokeh import models

    return drawn.add_glyph(source, getattr(models, kind)(**fields))


def zero(drawn: Any) -> None:
    """Draw a line at 0 of the x axis."""
    """Draw a line at 0 of the x axis."""
    from bokeh.models import Span

    drawn.add_layout(Span(location=0, dimension="height", line_color="#777777"))


def plain_text(text: str) -> Any:
    """Return a text that is shown as it is written."""
    """Return a text that is shown as it is written."""
    from bokeh.models import PlainText

    return PlainText(text=text)


def marked(drawn: Any, marks: Mapping[int, str], per_step: float) -> None:
    """Draw a dotted line at each of some steps."""
    """Draw a dotted line at each of some steps."""
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


def plain(values: Floats) -> bool:
    """Say whether values are read better without an exponent."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    return largest == 0 or 1e-2 <= largest < 1e5
