"""The figure of a sweep: main values at the end of every arm against the setting that is varied."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple, cast

import pandas as pd
from matplotlib.lines import Line2D

from neuro_aws.metrics.statistics import caption, estimate
from neuro_aws.plots.outcomes import chosen, panels, within_range
from neuro_aws.plots.style import (
    WIDTH,
    Axes,
    Figure,
    arm_styles,
    figure,
    readable,
    save,
    styled,
    value_label,
)
from neuro_aws.protocol import registry

MOST_VALUES, MOST_COLUMNS = 6, 4
MOST_LABELS, WIDEST = 12, 30
LOGARITHMIC = 30.0
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


class Column(NamedTuple):
    """The runs that a column of panels shows: a heading, and where each point stands on its x."""

    heading: str
    rows: pd.DataFrame
    places: dict[Any, float]
    """By the value of the axis, or the number of a point."""


def draw(
    table: pd.DataFrame, axes: Sequence[str], arms: Sequence[str], path: Path, *, title: str
) -> Path:
    """Draw the figure of a sweep's table; ``axes`` are the settings that are varied."""
    with styled():
        return save(sweep_figure(table, axes, arms, title), path)


def sweep_figure(
    table: pd.DataFrame, axes: Sequence[str], arms: Sequence[str], title: str
) -> Figure:
    """Draw main values by the first axis, a column for each combination of the others.

    Where the points make no grid (drawn at random, zipped), or there are many columns, all points
    stand beside each other with their values written out. Means over animals, 95 % intervals.
    """
    last = at_end(table[table["arm"].isin(arms)], axes)
    wanted = wanted_values(last)
    columns = columns_of(last, axes)
    crowded = max(len(column.places) for column in columns) > 4 or len(columns) > 1
    wide = 1 if crowded else 2
    across = len(columns) if len(columns) > 1 else min(wide, len(wanted))
    down = len(wanted) if len(columns) > 1 else -(-len(wanted) // across)
    drawn = figure(WIDTH, 1.7 * down + 1.1)
    several = len(columns) > 1  # of one value: on one scale
    places = drawn.subplots(down, across, squeeze=False, sharey="row" if several else False)
    for k, (name, layer, group) in enumerate(wanted):
        for j, column in enumerate(columns):
            at = places[k, j] if several else places[k // across, k % across]
            _panel(at, chosen(column.rows, name, layer, group), name, arms, column.places, axes)
            where = ", ".join(
                filter(None, [f"layer {layer}" if layer >= 0 else "", readable(group)])
            )
            heading = ", ".join(filter(None, [where, column.heading]))
            at.set_title(fill(heading, 120 // across), loc="left")
            if j == 0:
                at.set_ylabel(value_label(name))
        at.set_ylim(within_range(name, *at.get_ylim()))
    for empty in list(places.flat)[len(wanted) * len(columns) :]:
        empty.set_visible(False)
    _legend(drawn, arms)
    animals = last.groupby(list(axes))["animal"].nunique() if axes else [last["animal"].nunique()]
    least = int(min(animals))
    names = [name for name, _, _ in wanted]
    lines = [f"{title}: at the end of each arm, {caption(names, least)}; points are animals"]
    left_out = len(panels(last)) - len(wanted)
    if left_out:
        lines.append(f"{left_out} more in the table")
    drawn.suptitle("\n".join(fill(line, 110) for line in lines))
    return drawn


def at_end(table: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Return the rows measured last in each arm, at every point: they may differ in length."""
    latest = table.groupby([*axes, "arm"], sort=False)["step"].transform("max")
    return table[table["step"] == latest]


def wanted_values(last: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Return the values that deserve a panel: main ones first, those of the user's own before."""
    found = panels(last)
    main = [panel for panel in found if registry.value(panel[0]).main] or found
    return sorted(main, key=lambda p: (registry.rank(p[0]), p[2], p[1]))[:MOST_VALUES]


def columns_of(last: pd.DataFrame, axes: Sequence[str]) -> list[Column]:
    """Return the runs by what is drawn beside each other, and where each point stands."""
    points = last[list(axes)].drop_duplicates() if axes else pd.DataFrame(index=[0])
    if len(axes) < 2:
        return [Column("", last, _places(last, axes))]
    combinations = points[list(axes[1:])].drop_duplicates()
    complete = len(points) == len(combinations) * points[axes[0]].nunique()
    if not complete or len(combinations) > MOST_COLUMNS:
        labelled = last.assign(point=_labels(last, axes))
        return [Column("", labelled, {x: i for i, x in enumerate(labelled["point"].unique())})]
    columns = []
    for values in combinations.itertuples(index=False):
        same = (last[list(axes[1:])] == list(values)).all(axis=1)
        named = zip(axes[1:], values, strict=True)
        heading = ", ".join(f"{short_key(key)} {value}" for key, value in named)
        columns.append(Column(heading, last[same], _places(last, axes)))
    return columns


def _places(last: pd.DataFrame, axes: Sequence[str]) -> dict[Any, float]:
    if not axes:
        return {"": 0.0}
    values = last[axes[0]].unique()
    if pd.api.types.is_numeric_dtype(last[axes[0]]):
        return {value: float(value) for value in sorted(values)}
    return {value: float(i) for i, value in enumerate(values)}


def _labels(last: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    rows = last[list(axes)].itertuples(index=False)
    return [
        ", ".join(f"{short_key(k)} {v}" for k, v in zip(axes, row, strict=True)) for row in rows
    ]


def short_key(key: str) -> str:
    """Return the last two parts of a key as words: noise scale."""
    return readable(" ".join(key.split(".")[-2:]))


def _panel(
    axes: Axes,
    data: pd.DataFrame,
    name: str,
    arms: Sequence[str],
    places: dict[Any, float],
    keys: Sequence[str],
) -> None:
    """Draw one value: a line an arm, where x is a number; points alone where it is none."""
    styles = arm_styles(arms)
    key = "point" if "point" in data else keys[0] if keys else ""
    numeric = bool(key) and key != "point" and pd.api.types.is_numeric_dtype(data[key])
    log_scale = numeric and logarithmic(list(places))
    size = max(places.values()) - min(places.values())
    beside = 0.12 if not numeric else 0.0 if log_scale else 0.01 * size
    for k, arm in enumerate(arms):
        rows = data[data["arm"] == arm]
        apart = beside * (k - (len(arms) - 1) / 2)
        colour, line = styles[arm]
        found = []
        for value, x in places.items():
            here = rows[rows[key] == value] if key else rows
            by_animal = here.groupby("animal")["value"].mean()
            axes.plot([x + apart] * len(by_animal), by_animal, ".", ms=2.5, alpha=0.4, color=colour)
            if len(by_animal):
                found.append((x + apart, estimate(by_animal.to_numpy(), name)))
        if found:
            error = [[e.mean - e.low for _, e in found], [e.high - e.mean for _, e in found]]
            axes.errorbar(
                [x for x, _ in found],
                [e.mean for _, e in found],
                error,
                color=colour,
                ls=cast(Any, line) if numeric else "",
                marker="_" if not numeric else ".",
                ms=6 if not numeric else 4,
                capsize=2,
            )
    axes.set_xlabel("" if not key or key == "point" else key)
    if numeric:
        _scale(axes, list(places))
    else:
        _categories(axes, places)


def _scale(axes: Axes, values: list[float]) -> None:
    if logarithmic(values):
        axes.set_xscale("log")
    if len(values) <= MOST_LABELS // 2:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)


def logarithmic(values: list[float]) -> bool:
    """Say whether values are so far apart that their axis is logarithmic."""
    return min(values) > 0 and max(values) / min(values) >= LOGARITHMIC


def _categories(axes: Axes, places: dict[Any, float]) -> None:
    """Write the values below the axis; where there are many, the number of each point."""
    if len(places) > MOST_LABELS:
        axes.set_xlabel("point, in the order of the manifest")
        return
    turned = sum(len(str(value)) for value in places) > 60
    axes.set_xticks(
        list(places.values()),
        [fill(str(value), WIDEST) for value in places],
        rotation=20 if turned else 0,
        ha="right" if turned else "center",
    )
    axes.set_xlim(-0.5, len(places) - 0.5)


def _legend(drawn: Figure, arms: Sequence[str]) -> None:
    if len(arms) > 1:
        styles = arm_styles(arms)
        handles = [Line2D([], [], color=styles[a][0], ls=cast(Any, styles[a][1])) for a in arms]
        names = [readable(arm) for arm in arms]
        drawn.legend(handles, names, loc="outside lower center", ncols=min(4, len(arms)))
