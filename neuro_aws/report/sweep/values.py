"""Values at the end of every arm against the settings that are varied."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from neuro_aws.experiment.sweep_table import numbers
from neuro_aws.metrics.statistics import Estimate, caption, estimate
from neuro_aws.plots.outcomes import chosen, panels
from neuro_aws.plots.style import arm_styles, readable, value_label
from neuro_aws.plots.sweep import Column, at_end, columns_of, logarithmic, short_key, wanted_values
from neuro_aws.report.document import Chart, Part, Section, Table, Words
from neuro_aws.report.interactive.by_arm import Dots
from neuro_aws.report.interactive.by_setting import Panel, by_setting
from neuro_aws.report.sweep.manifest import Reported
from neuro_aws.report.wording import Key, named, where

SHORT, FEW = 14, 6
"""Letters of a value that is written below an axis, and how many of them are."""


class Ended(NamedTuple):
    """What an arm came to at a point."""

    column: Column
    value: Any
    """Of the first setting, or the number of a point: as in the column's places."""
    arm: str
    animals: pd.Series
    found: Estimate


def section(found: Reported) -> Section:
    """Return the section."""
    title, last = "Values by setting", ends(found)
    if last.empty:
        return Section("values", title, [Words(["No run that is finished has measured anything."])])
    wanted = wanted_values(last)
    names, n = [name for name, _, _ in wanted], int(last["animal"].nunique())
    words = [f"At the end of each arm. A point is an animal; {caption(names, n)}."]
    left = len(panels(last)) - len(wanted)
    words += [f"{left} more values are in table.csv."] if left > 0 else []
    columns = columns_of(last, list(found.grid.axes))
    parts = [_part(found, columns, key, number) for number, key in enumerate(wanted)]
    return Section("values", title, [Words(words)], parts)


def ends(found: Reported) -> pd.DataFrame:
    """Return what was measured last in each arm at every point."""
    table = found.table[found.table["arm"].isin(found.arms)]
    return at_end(table, list(found.grid.axes))


def ended(found: Reported, columns: Sequence[Column], key: Key) -> Iterator[Ended]:
    """Yield what each arm came to at every point, for one value."""
    axes = list(found.grid.axes)
    for column in columns:
        rows = chosen(column.rows, *key)
        by = "point" if "point" in rows else axes[0] if axes else ""
        for value in column.places:
            here = rows[rows[by] == value] if by else rows
            for arm in found.arms:
                values = here[here["arm"] == arm].groupby("animal")["value"].mean().sort_index()
                if len(values):
                    yield Ended(column, value, arm, values, estimate(values.to_numpy(), key[0]))


def label_of(found: Reported, one: Ended) -> str:
    """Return what a point is called: its settings."""
    axes = list(found.grid.axes)
    first = str(one.value) if not axes or isinstance(one.value, str) else f"{one.value:g}"
    if axes and "point" not in one.column.rows:
        first = f"{short_key(axes[0])} {first}"
    return ", ".join(filter(None, [first, one.column.heading])) or "the protocol as it is"


def _part(found: Reported, columns: Sequence[Column], key: Key, number: int) -> Part:
    label = named(key[0]) + where(key[1], key[2])
    axes, styles = list(found.grid.axes), arm_styles(found.arms)
    all_ = list(ended(found, columns, key))
    panels_, numbered = [], False
    for column in columns:
        places, ticks, numeric = _places(column, found)
        numbered |= not numeric and any(str(value) not in ticks.values() for value in places)
        points = [
            (places[one.value], label_of(found, one), _dots(one, styles))
            for one in all_
            if one.column is column
        ]
        unit = value_label(key[0]).replace("\n", " ")
        title = f"{unit}; {column.heading}" if column.heading else unit
        panels_.append(Panel(title, ticks, points, numeric))
    axis = axes[0] if axes and not numbered else "point"
    apart = " Numbers below the axis are points, as in what was asked." * numbered
    beside = " On a logarithmic axis." if any(_is_log(c, found) for c in columns) else ""
    rows = [
        (
            label_of(found, one),
            readable(one.arm),
            str(one.found),
            ", ".join(f"{animal}: {value:.4g}" for animal, value in one.animals.items()),
        )
        for one in all_
    ]
    chart = Chart(
        f"value-{number}",
        f"{label} against {axis}",
        f"At the end of each arm.{beside}{apart}",
        by_setting(panels_, found.arms, axis),
        Table(label, ("settings", "arm", "mean [95 % interval]", "animals"), rows),
        [(readable(arm), styles[arm][0]) for arm in found.arms],
    )
    return Part(label, [chart])


def _dots(one: Ended, styles: dict[str, tuple[str, str]]) -> Dots:
    values = {int(str(animal)): float(value) for animal, value in one.animals.items()}
    return Dots(one.arm, styles[one.arm][0], values, one.found)


def _numeric(column: Column, found: Reported) -> bool:
    axes = list(found.grid.axes)
    plain = bool(axes) and "point" not in column.rows
    return plain and bool(pd.api.types.is_numeric_dtype(column.rows[axes[0]]))


def _is_log(column: Column, found: Reported) -> bool:
    return _numeric(column, found) and logarithmic(list(column.places.values()))


def _places(column: Column, found: Reported) -> tuple[dict[Any, float], dict[float, str], bool]:
    """Return where values lie on the axis, what stands below it, and whether it is a number."""
    if _numeric(column, found):
        log = _is_log(column, found)
        places = {v: math.log10(x) if log else float(x) for v, x in column.places.items()}
        step = -(-len(places) // FEW)
        shown = list(places.items())[::step]
        return places, {x: f"{value:g}" for value, x in shown}, True
    places = dict(column.places)
    short = len(places) <= FEW and all(len(str(value)) <= SHORT for value in places)
    number = {_words(point, found): str(i) for i, point in enumerate(found.grid.points)}
    names = [str(value) if short else number.get(str(value), "?") for value in places]
    return places, dict(zip(places.values(), names, strict=True)), False


def _words(point: Mapping[str, str], found: Reported) -> str:
    """Return a point as the column of points has it, or the value of the only setting."""
    if len(point) == 1:
        return next(iter(point.values()))
    known = {key: numbers(values) for key, values in found.grid.axes.items()}
    return ", ".join(f"{short_key(key)} {known[key][value]}" for key, value in point.items())
