"""Measures by arm: animals, means with intervals, paired differences, courses over the run."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from neuro_aws.metrics.initial import INITIALLY, gains, initial_values, only_gained
from neuro_aws.metrics.statistics import Estimate, caption, estimate, last_values, paired_values
from neuro_aws.plots import outcomes
from neuro_aws.plots.figures import MOST_PANELS
from neuro_aws.plots.style import arm_styles, readable, value_label
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Chart, Part, Section, Table, Words
from neuro_aws.report.interactive.by_arm import Dots, by_arm
from neuro_aws.report.interactive.courses import Course, courses
from neuro_aws.report.wording import Key, named, where

LEAST_STEPS = 3
"""Moments at which something must have been measured to be drawn over time."""


def section(run: Run, metrics: pd.DataFrame) -> Section:
    """Return the section."""
    title = "Measures by arm"
    initial = initial_values(metrics, run.protocol.tree, run.arms)
    metrics = metrics[metrics["arm"].isin(run.arms)]
    main = outcomes.main_panels(metrics, run.arms)
    if not main:
        return Section("measures", title, [Words(["Nothing has been measured in these arms."])])
    wanted, left = main[:MOST_PANELS], len(main) - MOST_PANELS
    n = int(metrics["animal"].nunique())
    names = [name for name, _, _ in wanted]
    words = [
        f"A point is an animal; {caption(names, n, differences=n > 1)}. Differences are paired: an "
        "animal's value in an arm minus the same animal's in the arm's reference.",
    ]
    words += [f"{left} more main values are in metrics.csv."] if left > 0 else []
    parts = [_part(run, metrics, initial, key, k) for k, key in enumerate(wanted)]
    return Section("measures", title, [Words(words)], parts)


def _part(run: Run, metrics: pd.DataFrame, initial: pd.DataFrame, key: Key, number: int) -> Part:
    name, layer, group = key
    label = named(name) + where(layer, group)
    mine = outcomes.chosen(metrics, *key)
    charts = [_by_arm(run, mine, outcomes.chosen(initial, *key), label, number)]
    if mine["step"].nunique() >= LEAST_STEPS:
        charts.append(_over_time(run, mine, name, label, number))
    return Part(label, charts)


def _by_arm(run: Run, mine: pd.DataFrame, initial: pd.DataFrame, label: str, number: int) -> Chart:
    name = str(mine["name"].iloc[0])
    styles = arm_styles(run.arms)
    last = last_values(mine)
    references = outcomes.references(run)
    paired = paired_values(last, references)
    ends = {str(arm): part.set_index("animal")["value"] for arm, part in last.groupby("arm")}
    apart = {str(arm): part.set_index("animal")["value"] for arm, part in paired.groupby("arm")}
    unit = value_label(name).replace("\n", " ")
    groups = [(unit, [_dots(arm, styles, ends[arm], name) for arm in run.arms if arm in ends])]
    others = [arm for arm in run.arms if arm in apart]
    if others:
        against = {references[arm] for arm in others}
        whom = readable(against.pop()) if len(against) == 1 else "its reference"
        title = f"minus {whom}, same animal"
        groups.append((title, [_dots(arm, styles, apart[arm], None) for arm in others]))
    return Chart(
        f"measure-{number}",
        f"{label} at the end of each arm",
        "Above: by arm. Below: paired differences." if others else "By arm.",
        by_arm(groups),
        _table(run, last, only_gained(gains(last, initial)), apart, label),
    )


def _dots(
    arm: str, styles: dict[str, tuple[str, str]], values: pd.Series, name: str | None
) -> Dots:
    known = {int(str(animal)): float(value) for animal, value in values.sort_index().items()}
    return Dots(arm, styles[arm][0], known, estimate(values.to_numpy(float), name))


def _table(
    run: Run, last: pd.DataFrame, gained: pd.DataFrame, apart: dict[str, pd.Series], label: str
) -> Table:
    animals = sorted(last["animal"].unique())
    since = {str(row.arm): row for row in gained.itertuples()}
    name = str(last["name"].iloc[0])
    head = ["arm", "mean [95 % interval]", "minus reference", "animals"]
    head += ["initially", "gain"] if len(since) else []
    rows = []
    for arm in run.arms:
        values = last[last["arm"] == arm].set_index("animal")["value"]
        if values.empty:
            continue
        mean = str(estimate(values.to_numpy(float), name))
        minus = str(estimate(apart[arm].to_numpy(float))) if arm in apart else "-"
        each = ", ".join(f"{a}: {values[a]:.4g}" for a in animals if a in values)
        row = [readable(arm), mean, minus, each]
        if len(since):
            known: Any = since.get(arm)
            row.append("-" if known is None else f"{getattr(known, INITIALLY):.4g}")
            fields = [] if known is None else [getattr(known, f) for f in Estimate._fields]
            row.append(str(Estimate(*fields)) if fields else "-")
        rows.append(row)
    return Table(f"{label}, at the end of each arm", head, rows)


def _over_time(run: Run, mine: pd.DataFrame, name: str, label: str, number: int) -> Chart:
    start = outcomes.onset_step(run)
    styles = arm_styles(run.arms)
    lines: list[Course] = []
    rows: list[Sequence[str]] = []
    for arm in dict.fromkeys(map(str, mine["arm"])):
        steps, found = [], []
        for step, values in mine[mine["arm"] == arm].groupby("step"):
            steps.append(int(str(step)) - start)
            found.append(estimate(values["value"].to_numpy(float), name))
        lines.append(Course(readable(arm), styles[arm][0], pd.Index(steps).to_numpy(), found))
        rows.append((readable(arm), str(found[0]), str(found[len(found) // 2]), str(found[-1])))
    return Chart(
        f"measure-{number}-course",
        f"{label} over time",
        "Mean over animals with its 95 % interval; a point where it was measured.",
        courses([(value_label(name).replace("\n", " "), lines)], outcomes.time_label(start), None),
        Table(
            f"{label}: first, middle and last measurement", ("arm", "first", "middle", "last"), rows
        ),
        [(readable(arm), styles[arm][0]) for arm in dict.fromkeys(mine["arm"])],
    )
