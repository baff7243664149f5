"""Measures by arm: over time, at the end, by layer, and against each arm's reference."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import pandas as pd

from neuro_aws.metrics.statistics import (
    Estimate,
    estimate,
    last_values,
    paired_values,
)
from neuro_aws.plots.style import Axes, arm_styles, readable, value_label
from neuro_aws.protocol import registry
from neuro_aws.recording.reader import Run

QUIET = "#BBBBBB"

INITIAL: dict[str, Any] = {
    "color": "0.5",
    "linestyle": ":",
    "linewidth": 0.9,
    "marker": "D",
    "markersize": 3,
    "markerfacecolor": "none",
    "zorder": 0,
}
"""How values are drawn that were measured before anything was learnt."""


def over_time(
    axes: Axes,
    metrics: pd.DataFrame,
    name: str,
    arms: Sequence[str],
    start: int = 0,
    kind: str | None = None,
) -> Axes:
    """Draw one measure against steps since ``start``, one line an arm, band = 95 % interval."""
    styles = arm_styles(arms)
    for arm in arms:
        rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
        if rows.empty:
            continue
        found = rows.groupby("step")["value"].apply(lambda values: estimate(values, name, kind))
        x = found.index.to_numpy() - start
        colour, line = styles[arm]
        marker = "." if len(x) < 12 else ""
        axes.plot(
            x, [e.mean for e in found], line, color=colour, marker=marker, label=readable(arm)
        )
        axes.fill_between(
            x,
            [e.low for e in found],
            [e.high for e in found],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    axes.set_ylim(within_range(name, *axes.get_ylim()))
    axes.set_ylabel(value_label(name))
    axes.set_xlabel(time_label(start))
    return axes


def mark_initially(axes: Axes, initial: pd.DataFrame, name: str) -> None:
    """Draw a dotted line at each mean over animals that arms began with, over time."""
    for value in _means(initial, name, ["arm"]).round(6).unique():
        axes.axhline(value, **{**INITIAL, "marker": ""})


def mark_initially_by_arm(
    axes: Axes, initial: pd.DataFrame, name: str, arms: Sequence[str]
) -> None:
    """Draw a diamond at the mean over animals that each arm began with, a row an arm."""
    found = _means(initial, name, ["arm"])
    rows = [i for i, arm in enumerate(arms) if arm in found.index]
    if rows:
        axes.plot([found[arms[i]] for i in rows], rows, **{**INITIAL, "linestyle": ""})


def mark_initially_by_layer(axes: Axes, initial: pd.DataFrame, name: str) -> None:
    """Draw a diamond at each layer for the means over animals that arms began with."""
    drawn: list[pd.Series] = []
    for _, part in _means(initial, name, ["arm", "layer"]).groupby("arm"):
        found = part.droplevel("arm").round(6)
        if not any(found.equals(one) for one in drawn):
            axes.plot(found.index, found, **INITIAL)
            drawn.append(found)


def _means(initial: pd.DataFrame, name: str, by: list[str]) -> pd.Series:
    found: pd.Series = initial[initial["name"] == name].groupby(by, sort=False)["value"].mean()
    return found


def mark_periods(axes: Axes, run: Run, start: int) -> None:
    """Mark where a period begins after ``start``, the axis' 0, by a dotted line and its name.

    Nothing is marked where arms have periods of different lengths.
    """
    schedules = [run.protocol.tree.arms[arm].schedule.stretches for arm in run.arms]
    if len({tuple((s.name, s.start) for s in stretches) for stretches in schedules}) > 1:
        return
    for stretch in schedules[0]:
        if stretch.start > start:
            at = stretch.start - start
            axes.axvline(at, color="0.6", lw=0.8, ls=":", zorder=0)
            axes.annotate(
                readable(stretch.name),
                (at, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 1),
                textcoords="offset points",
                fontsize=6,
                color="0.45",
            )


def within_range(name: str, low: float, high: float) -> tuple[float, float]:
    """Return limits of an axis that leave out what the value cannot be, but for a margin."""
    info, margin = registry.value(name), 0.03
    if low < info.low < high:
        low = info.low - margin * (high - info.low)
    if low < info.high < high:
        high = info.high + margin * (info.high - low)
    return low, high


def time_label(start: int) -> str:
    """Return the label of the time axis."""
    return "steps since the arms parted" if start else "steps"


def at_end(
    axes: Axes, metrics: pd.DataFrame, name: str, arms: Sequence[str], colour: str | None = None
) -> Axes:
    """Draw the last value of each arm, a row an arm: animals as points, mean, 95 % interval.

    ``colour`` None: each arm's own.
    """
    for i, arm in enumerate(arms):
        rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
        rows = rows[rows["step"] == rows["step"].max()]
        values = rows.groupby("animal")["value"].mean()
        own = colour or arm_styles(arms)[arm][0]
        _row(axes, i, values, estimate(values.to_numpy(), name), own)
    _arms_on_y(axes, arms)
    axes.set_xlim(within_range(name, *axes.get_xlim()))
    axes.set_xlabel(value_label(name))
    return axes


def against_reference(
    axes: Axes,
    metrics: pd.DataFrame,
    name: str,
    arms: Sequence[str],
    references: Mapping[str, str],
    rows: Sequence[str] | None = None,
) -> Axes:
    """Draw every animal's last value in an arm minus the same animal's in the arm's reference.

    A row an arm, a point an animal, a bar for the mean and its 95 % t interval. ``rows`` are the
    arms that have a row, in order; an arm that is its own reference stays empty.
    """
    rows = [a for a in arms if references.get(a, a) != a] if rows is None else rows
    chosen = {arm: references[arm] for arm in rows if arm in references}
    found = paired_values(last_values(metrics[metrics["name"] == name]), chosen)
    axes.axvline(0, color=QUIET, lw=0.6, zorder=0)
    for i, arm in enumerate(rows):
        values = found.loc[found["arm"] == arm].set_index("animal")["value"].sort_index()
        _row(axes, i, values, estimate(values.to_numpy(float)), arm_styles(arms)[arm][0])
    _arms_on_y(axes, rows)
    against = {r for a, r in chosen.items() if a != r}
    whom = readable(against.pop()) if len(against) == 1 else "its reference"
    axes.set_xlabel(f"minus {whom}")
    return axes


def _row(axes: Axes, i: int, values: pd.Series, found: Estimate, colour: str) -> None:
    axes.plot(values, [i] * len(values), ".", color=colour, alpha=0.5, ms=4)
    if found.n > 1:
        axes.plot([found.mean] * 2, [i - 0.3, i + 0.3], color=colour, lw=1.6)
        axes.plot([found.low, found.high], [i, i], color=colour, lw=0.8)


def _arms_on_y(axes: Axes, arms: Sequence[str]) -> None:
    axes.set_yticks(range(len(arms)), [fill(readable(a), 17) for a in arms], fontsize=6)
    axes.set_ylim(len(arms) - 0.4, -0.6)


def by_layer(axes: Axes, metrics: pd.DataFrame, name: str, arms: Sequence[str]) -> Axes:
    """Draw the last value of each arm at every layer, mean over animals with 95 % intervals."""
    styles = arm_styles(arms)
    for k, arm in enumerate(arms):
        rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
        rows = rows[rows["step"] == rows["step"].max()]
        values = rows.groupby(["layer", "animal"])["value"].mean()
        found = values.groupby("layer").apply(lambda part: estimate(part, name))
        mean = [e.mean for e in found]
        errors = [[e.mean - e.low for e in found], [e.high - e.mean for e in found]]
        colour, line = styles[arm]
        at = found.index.to_numpy() + 0.04 * k
        axes.errorbar(
            at,
            mean,
            errors,
            linestyle=line,
            marker=".",
            capsize=2,
            color=colour,
            label=readable(arm),
        )
    axes.set_xticks(sorted(metrics.loc[metrics["name"] == name, "layer"].unique()))
    axes.set_xlabel("layer (end of the run)")
    axes.set_ylabel(value_label(name))
    return axes


def panels(metrics: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Return what deserves a panel: (name, layer, group), in the order of measuring."""
    keys = metrics[["name", "layer", "group"]].drop_duplicates()
    return [
        (str(name), int(layer), str(group))
        for name, layer, group in zip(keys["name"], keys["layer"], keys["group"], strict=True)
    ]


def main_panels(metrics: pd.DataFrame, arms: Sequence[str]) -> list[tuple[str, int, str]]:
    """Return the panels of main values that were measured in some arms, the user's own first."""
    main = [p for p in panels(metrics[metrics["arm"].isin(arms)]) if registry.value(p[0]).main]
    return sorted(main, key=lambda p: (registry.rank(p[0]), p[2], p[1]))


def chosen(metrics: pd.DataFrame, name: str, layer: int, group: str) -> pd.DataFrame:
    """Return the rows of one panel."""
    same = (metrics["name"] == name) & (metrics["layer"] == layer) & (metrics["group"] == group)
    return metrics[same]


def onset_step(run: Run) -> int:
    """Return the step at which the arms part; 0 where they part at different ages."""
    found = {run.protocol.tree.arms[arm].branch for arm in run.arms}
    return found.pop() if len(found) == 1 else 0


def references(run: Run) -> dict[str, str]:
    """Return the arm that each arm is compared with, where both were run."""
    found = {arm: run.protocol.tree.arms[arm].reference for arm in run.arms}
    return {arm: reference for arm, reference in found.items() if reference in run.arms}
