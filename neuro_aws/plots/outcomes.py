"""Measures over time, by arm: mean over animals with a 95 % interval."""

import pandas as pd

from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import Axes, arm_styles, readable
from neuro_aws.recording.reader import Run


def over_time(
    axes: Axes, metrics: pd.DataFrame, name: str, arms: list[str], start: int = 0
) -> Axes:
    """Draw one measure against steps since ``start``, one line an arm, band = 95 % t interval."""
    styles = arm_styles(arms)
    for arm in arms:
        rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
        if rows.empty:
            continue
        found = rows.groupby("step")["value"].apply(estimate)
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
    axes.set_ylabel(readable(name))
    return axes


def at_end(axes: Axes, metrics: pd.DataFrame, name: str, arms: list[str]) -> Axes:
    """Draw the last value of each arm: animals as points, mean and 95 % interval as a bar."""
    styles = arm_styles(arms)
    for i, arm in enumerate(arms):
        rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
        rows = rows[rows["step"] == rows["step"].max()]
        values = rows.groupby("animal")["value"].mean()
        e = estimate(values.to_numpy())
        colour = styles[arm][0]
        axes.plot([i] * len(values), values, ".", color=colour, alpha=0.5, ms=4)
        axes.plot([i - 0.25, i + 0.25], [e.mean] * 2, color=colour, lw=2)
        axes.plot([i, i], [e.low, e.high], color=colour, lw=1)
    axes.set_xticks(range(len(arms)), [readable(a) for a in arms], rotation=40, ha="right")
    axes.set_ylabel(readable(name))
    return axes


def by_layer(axes: Axes, metrics: pd.DataFrame, name: str, arms: list[str]) -> Axes:
    """Draw the last value of each arm at every layer, mean over animals with 95 % intervals."""
    styles = arm_styles(arms)
    for k, arm in enumerate(arms):
        rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
        rows = rows[rows["step"] == rows["step"].max()]
        values = rows.groupby(["layer", "animal"])["value"].mean()
        found = values.groupby("layer").apply(estimate)
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
    axes.set_ylabel(readable(name))
    return axes


def panels(metrics: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Return what deserves a panel: (name, layer, group), in the order of measuring."""
    keys = metrics[["name", "layer", "group"]].drop_duplicates()
    return [
        (str(name), int(layer), str(group))
        for name, layer, group in zip(keys["name"], keys["layer"], keys["group"], strict=True)
    ]


def chosen(metrics: pd.DataFrame, name: str, layer: int, group: str) -> pd.DataFrame:
    """Return the rows of one panel."""
    same = (metrics["name"] == name) & (metrics["layer"] == layer) & (metrics["group"] == group)
    return metrics[same]


def onset_step(run: Run) -> int:
    """Return the step at which the arms part."""
    return max((run.protocol.tree.arms[arm].branch for arm in run.arms), default=0)
