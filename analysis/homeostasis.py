"""Does homeostasis protect cells that are perturbed in REM? Time constant by manipulation.

    python analysis/homeostasis.py RUN [--out figure.png]

Waking activity of the target cells at the end of the critical period over onset, for every time
constant of homeostasis and every manipulation, beside the control of the same constant; its time
course; and what becomes of it when the constant is switched, or homeostasis blocked, at the branch.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from common import Report, arguments, described, opened, refusal, script, values

from neuro_aws.metrics.statistics import estimate, paired
from neuro_aws.plots.style import ARM_COLOURS, WIDTH, Axes, Figure, figure, save, styled
from neuro_aws.protocol.branches import ArmPlan
from neuro_aws.protocol.model import Homeostasis
from neuro_aws.recording.reader import Run

NAME = "target_activity_relative"
CRITICAL = "critical_period"
MADE_FOR = "protocols/homeostasis.yaml"
COLOURS = dict(
    zip(("control", "silenced", "halved", "activated", "released"), ARM_COLOURS, strict=False)
)


class Condition(NamedTuple):
    """What an arm grew up under, what it lives under since, and what is done to its cells."""

    grown: str
    since: str
    done: str
    clamped: bool


def constant(of: Homeostasis) -> str:
    """Return a time constant as it is written: steps, batch, none."""
    return str(of.steps) if of.over == "time" else str(of.over)


def rank(name: str) -> float:
    """Return where a time constant stands on the axis: batch below all, none above."""
    if name in ("batch", "none"):
        return {"batch": 0.0, "none": 5.0}[name]
    return float(np.log10(int(name)))


def condition(plan: ArmPlan) -> Condition:
    """Return what was done in an arm, from its plan."""
    done, since, clamped = "control", constant(plan.spec.network.homeostasis), False
    for p in plan.perturb:
        if p.block is not None and p.block.homeostasis:
            since = "blocked"
        clamped |= p.clamp is not None
        if p.cells is not None:
            done = {0.0: "silenced", 0.5: "halved", 2.0: "activated"}.get(p.factor, "other")
            done = "released" if p.cycles.until is not None else done
    return Condition(constant(plan.initial.network.homeostasis), since, done, clamped)


def activity(metrics: pd.DataFrame, arm: str) -> pd.Series:
    """Return the targets' waking activity at the end of the critical period, by animal."""
    return values(metrics, arm, NAME, CRITICAL)


def tables(run: Run, metrics: pd.DataFrame, conditions: dict[str, Condition]) -> Report:
    """Return the tables."""
    report = Report()
    report.say(f"{run.folder}: {described(run, [NAME])}\n")
    report.say("waking activity of the target cells at the end of the critical period over onset")
    rows = [[*c, str(estimate(activity(metrics, arm), NAME))] for arm, c in conditions.items()]
    columns = ["grown up under", "since", "cells", "ACh clamped", "activity"]
    report.say(pd.DataFrame(rows, columns=columns).to_string(index=False))
    report.say("\nsilenced in REM: where the course is lowest")
    for arm, c in conditions.items():
        if c.done == "silenced":
            course = values_over_cycles(metrics, arm)
            report.say(f"  {arm:22} {course.min():.3f} after {course.idxmin()} cycles")
    report.say("\npaired difference to the control of the same constant")
    for arm in conditions:
        reference = run.protocol.tree.arms[arm].reference
        if reference != arm and reference in run.arms:
            difference = paired(activity(metrics, arm), activity(metrics, reference))
            report.test(f"{arm} - {reference}", difference)
    return report


def values_over_cycles(metrics: pd.DataFrame, arm: str) -> pd.Series:
    """Return the targets' waking activity by cycle of the critical period, mean over animals."""
    rows = metrics[(metrics["name"] == NAME) & (metrics["period"] == CRITICAL)]
    return rows[rows["arm"] == arm].groupby("cycle")["value"].mean()


def curves(axes: Axes, metrics: pd.DataFrame, conditions: dict[str, Condition]) -> None:
    """Draw the effect of every manipulation over the time constant."""
    lasting = {a: c for a, c in conditions.items() if c.grown == c.since and not c.clamped}
    for done, colour in COLOURS.items():
        found = sorted((rank(c.since), arm) for arm, c in lasting.items() if c.done == done)
        if not found:
            continue
        x = np.array([at for at, _ in found])
        e = [estimate(activity(metrics, arm), NAME) for _, arm in found]
        mean = np.array([one.mean for one in e])
        bars = [mean - [one.low for one in e], [one.high for one in e] - mean]
        axes.errorbar(x, mean, np.nan_to_num(bars), color=colour, marker=".", capsize=2, label=done)
    at = sorted({(rank(c.since), c.since) for c in lasting.values()})
    axes.set_xticks([x for x, _ in at], [name for _, name in at], rotation=60)
    axes.axhline(1, color="#BBBBBB", lw=0.6, zorder=0)
    axes.axhline(0.5, color="#BBBBBB", lw=0.6, ls=":", zorder=0)
    axes.set(
        xlabel="time constant of homeostasis\n(steps of a phase)",
        ylabel="waking activity of the targets\n(onset = 1)",
        ylim=(0, None),
    )
    axes.set_title("a  end of the critical period", loc="left")
    axes.legend(fontsize=5.5)


def courses(axes: Axes, metrics: pd.DataFrame, conditions: dict[str, Condition]) -> None:
    """Draw the time course of silencing for every time constant."""
    rows = metrics[(metrics["name"] == NAME) & (metrics["period"] == CRITICAL)]
    chosen = sorted(
        (rank(c.since), arm)
        for arm, c in conditions.items()
        if c.done == "silenced" and c.grown == c.since and not c.clamped
    )
    for k, (_, arm) in enumerate(chosen):
        table = rows[rows["arm"] == arm].pivot_table(
            index="cycle", columns="animal", values="value"
        )
        found = [estimate(table.loc[cycle], NAME) for cycle in table.index]
        colour = ARM_COLOURS[k]
        axes.plot(table.index, [e.mean for e in found], color=colour, label=conditions[arm].since)
        if table.shape[1] > 1:
            band = ([e.low for e in found], [e.high for e in found])
            axes.fill_between(table.index, *band, color=colour, alpha=0.2, lw=0)
    axes.set(
        xlabel="cycles of the critical period\n(25 pairs of wake and REM each)",
        ylabel="waking activity of the targets\n(onset = 1)",
        ylim=(0, 1.3),
    )
    axes.set_title("b  silenced in REM, by time constant", loc="left")
    axes.legend(fontsize=5.5, ncols=3, loc="upper right")


def switched(axes: Axes, metrics: pd.DataFrame, conditions: dict[str, Condition]) -> None:
    """Draw silencing after a switch at the branch, beside the same constant all along."""
    names: list[str] = []
    for since in ("10", "100", "300", "1000", "10000", "blocked", "none"):
        for k, all_along in enumerate((True, False)):
            arms = [
                arm
                for arm, c in conditions.items()
                if c.since == since
                and c.done == "silenced"
                and not c.clamped
                and (c.grown == c.since) == all_along
            ]
            for arm in arms:
                e = estimate(activity(metrics, arm), NAME)
                x = len(names) + 0.3 * k - 0.15
                bars = np.nan_to_num([[e.mean - e.low], [e.high - e.mean]])
                label = ("from initialisation", "since the branch")[k]
                colour = ARM_COLOURS[1 + k]
                axes.errorbar([x], [e.mean], bars, color=colour, marker=".", capsize=2, label=label)
        names.append(since)
    axes.set_xticks(range(len(names)), names, rotation=30)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=5.5)
    axes.set(
        xlabel="homeostasis in the critical period\n(time constant, steps)",
        ylabel="waking activity of the targets\n(onset = 1)",
        ylim=(0, None),
    )
    axes.set_title("c  silenced: switched at the branch", loc="left")


def draw(metrics: pd.DataFrame, conditions: dict[str, Condition]) -> Figure:
    """Draw the three panels."""
    drawn = figure(WIDTH, 2.8)
    panels = drawn.subplots(1, 3)
    for panel, axes in zip((curves, courses, switched), panels, strict=True):
        panel(axes, metrics, conditions)
    n = metrics[(metrics["name"] == NAME) & (metrics["period"] == CRITICAL)]["animal"].nunique()
    bars = "; bars, bands: 95 % intervals over animals (t)" if n > 1 else ""
    drawn.suptitle(f"30 % of layer 1 perturbed in REM, mean of {n} animals{bars}")
    return drawn


def main() -> None:
    """Print the tables and draw the figure."""
    options = arguments(__doc__).parse_args()
    run = opened(options.run, made_for=MADE_FOR, values=[NAME], periods=[CRITICAL])
    conditions = {arm: condition(run.protocol.tree.arms[arm]) for arm in run.arms}
    if len({c.since for c in conditions.values()}) < 2:
        raise refusal(run, "has one time constant of homeostasis only", MADE_FOR)
    metrics = run.metrics
    print(tables(run, metrics, conditions))
    with styled():
        path = options.out or run.folder / "figures" / "homeostasis.png"
        print("\nfigure", save(draw(metrics, conditions), path))


if __name__ == "__main__":
    script(main)
