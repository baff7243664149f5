"""A grid of cells, coloured, with words in them: rows by columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from neuro_aws.report.interactive.basic import canvas, glyph, plain_text

ROOM, WORDS, TALL, HEADS = 196, 30, 40, 64
"""Pixels for the names of rows, letters in a line of them, pixels of a row and of the heads."""


@dataclass(frozen=True)
class Cell:
    """A cell: its words, colours, and what pointing at it says, in the order of ``heads``."""

    text: str
    face: str
    ink: str
    tips: Sequence[str]


def cells(
    rows: Sequence[str],
    columns: Sequence[str],
    shown: Sequence[Sequence[Cell]],
    heads: Sequence[str],
) -> Any:
    """Draw cells, a row of them for each name in ``rows``; ``heads`` name what pointing shows."""
    from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LinearAxis, Range1d

    drawn = canvas("", TALL * len(rows) + HEADS + 24)
    drawn.min_border_left = ROOM
    drawn.x_range = Range1d(-0.5, len(columns) - 0.5)
    drawn.y_range.start, drawn.y_range.end = len(rows) - 0.5, -0.5
    drawn.grid.visible = False
    drawn.title_location = None
    data: dict[str, list[Any]] = {"x": [], "y": [], "text": [], "face": [], "ink": []}
    data |= {f"tip{k}": [] for k in range(len(heads))}
    for y, row in enumerate(shown):
        for x, cell in enumerate(row):
            found = (x, y, cell.text, cell.face, cell.ink, *cell.tips)
            for key, value in zip(data, found, strict=True):
                data[key].append(value)
    source = ColumnDataSource(data)
    look = {"width": 1, "height": 1, "fill_color": "face", "line_color": "#FFFFFF"}
    faces = glyph(drawn, source, "Rect", x="x", y="y", **look, line_width=2)
    words = {"text": "text", "text_color": "ink", "text_font_size": "11px"}
    middle = {"text_align": "center", "text_baseline": "middle"}
    glyph(drawn, source, "Text", x="x", y="y", **words, **middle)
    tips = [(head, f"@tip{k}") for k, head in enumerate(heads)]
    drawn.add_tools(HoverTool(renderers=[faces], tooltips=tips, point_policy="follow_mouse"))
    drawn.yaxis.ticker = FixedTicker(ticks=list(range(len(rows))))
    drawn.yaxis.major_label_overrides = {
        i: plain_text(fill(name, WORDS)) for i, name in enumerate(rows)
    }
    top = LinearAxis(ticker=FixedTicker(ticks=list(range(len(columns)))))
    top.major_label_overrides = {i: plain_text(fill(n, 13)) for i, n in enumerate(columns)}
    top.major_label_text_font_size = "11px"
    drawn.xaxis.visible = False
    drawn.add_layout(top, "above")
    for axis in (top, drawn.yaxis[0]):
        axis.axis_line_color = None
        axis.major_tick_line_color = None
    return drawn
