"""The REM-silencing experiment: figure, table, paired tests, the interaction of the 2 x 2.

    python analysis/critical_period.py RUN [--controls RUN] [--out figure.png]

RUN is a run of protocols/critical_period.yaml, --controls one of critical_period_controls.yaml.
"""

from textwrap import fill

import pandas as pd
from common import (
    Report,
    against_reference,
    arguments,
    arm_table,
    described,
    opened,
    script,
    values,
)

from neuro_aws.metrics.statistics import Estimate, estimate, interaction, paired
from neuro_aws.plots import outcomes
from neuro_aws.plots.style import WIDTH, Axes, Figure, arm_styles, figure, save, styled
from neuro_aws.recording.reader import Run

GROUP = "cells"
CRITICAL, ADULT = "critical_period", "adulthood"
COLUMNS = [
    "target_activity_relative",
    "spared_activity_relative",
    "target_spared_ratio",
    "target_never_active",
    "target_feedforward",
    "target_dendrite",
]
FOUR = ["rem_silenced", "control", "rem_silenced_ach_clamped", "ach_clamped"]
DRAWN = [*COLUMNS, "move_to_perturbed", "ach_gap", "ach_gap_perturbed"]

CONTROL_COLOUR = "#555555"
"""Of the controls' arms: the legend's colours belong to others."""

PANELS = [
    ("target_activity_relative", "targets, waking\nactivity (1: onset)"),
    ("spared_activity_relative", "non-target cells, waking\nactivity (1: onset)"),
    ("target_never_active", "targets never active\n(share)"),
]


def half_effect(metrics: pd.DataFrame, arm: str, period: str, reference: str) -> pd.DataFrame:
    """Return, per animal, the cycle at which the targets passed half of the reference's activity.

    Interpolated between measurements; nan where they never did. With it the share of targets
    that were never active at the measurement after.
    """
    rows = []
    name = "target_activity_relative"
    for animal in sorted(metrics["animal"].unique()):
        mine = metrics[(metrics["animal"] == animal) & (metrics["period"] == period)]
        mine = mine[mine["group"] == GROUP]
        table = mine.pivot_table(index="cycle", columns=["arm", "name"], values="value")
        if (arm, name) not in table or (reference, name) not in table:
            continue
        share = (table[(arm, name)] / table[(reference, name)]).dropna()
        cycles, never_active = share.index.to_numpy(float), table[(arm, "target_never_active")]
        below = [k for k in range(len(share)) if share.iloc[k] < 0.5]
        if not below:
            rows.append((animal, float("nan"), float("nan")))
            continue
        k = below[0]
        if k == 0:
            crossing = cycles[0]
        else:
            y0, y1 = share.iloc[k - 1], share.iloc[k]
            crossing = cycles[k - 1] + (y0 - 0.5) / (y0 - y1) * (cycles[k] - cycles[k - 1])
        rows.append((animal, crossing, float(never_active.loc[share.index[k]])))
    return pd.DataFrame(rows, columns=["animal", "cycle", "never_active"])


def gap(metrics: pd.DataFrame, arm: str, silenced: bool) -> pd.Series:
    """Return the gap of ACh in an arm's own REM, at the end of the critical period."""
    name = "ach_gap_perturbed" if silenced else "ach_gap"
    return values(metrics, arm, name, CRITICAL, group=f"{GROUP}_x0" if silenced else "")


def tables(run: Run, metrics: pd.DataFrame) -> Report:
    """Return the tables."""
    report = Report()
    report.say(f"{run.folder}: {described(run, COLUMNS)}\n")
    for period in (CRITICAL, ADULT):
        report.say(f"targets ({GROUP}) at the end of {period}, relative to the onset of the arm")
        report.say(arm_table(metrics, run.arms, COLUMNS, period, GROUP))
        report.say("\npaired difference to the reference arm of the same animals (target activity)")
        against_reference(report, run, metrics, COLUMNS[0], period, GROUP)
        report.say()

    def activity(arm: str) -> pd.Series:
        return values(metrics, arm, COLUMNS[0], CRITICAL, group=GROUP)

    report.say("2 x 2, end of the critical period (target activity)")
    report.test("silencing with ACh", paired(activity(FOUR[0]), activity(FOUR[1])))
    report.test("silencing, ACh clamped", paired(activity(FOUR[2]), activity(FOUR[3])))
    report.test("interaction", interaction(*(activity(a) for a in FOUR)))
    gaps = [gap(metrics, a, "silenced" in a) for a in FOUR]
    report.say("\nACh gap (mean D wake - REM) in the arm's own REM, end of the critical period")
    for arm, found in zip(FOUR, gaps, strict=True):
        report.say(f"  {arm:<28} {estimate(found)}")
    report.test(
        "difference of differences, clamped - unclamped",
        interaction(gaps[2], gaps[3], gaps[0], gaps[1]),
    )
    report.say(
        "\ncycle at which the targets passed half of the control's activity, and never-active then"
    )
    for arm, period in (("rem_silenced", CRITICAL), ("rem_silenced_adult", ADULT)):
        if arm not in run.arms:
            continue
        half = half_effect(metrics, arm, period, "control")
        reached = half["cycle"].notna().sum()
        report.say(
            f"  {arm:<28} reached in {reached} of {len(half)} animals; cycle "
            f"{estimate(half['cycle'])}; never active "
            f"{estimate(half['never_active'], 'target_never_active')}"
        )
    _slowness(report, run, metrics)
    return report


def _slowness(report: Report, run: Run, metrics: pd.DataFrame) -> None:
    """Compare silencing in the critical period and in adulthood after the same cycles."""
    if "rem_silenced_adult" not in run.arms:
        return
    stretches = {s.name: s for s in run.protocol.tree.arms["control"].schedule.stretches}
    cycle = min(stretches[CRITICAL].cycles, stretches[ADULT].cycles)
    effects = []
    for arm, period in (("rem_silenced", CRITICAL), ("rem_silenced_adult", ADULT)):
        mine, control = (
            values(metrics, a, COLUMNS[0], period, cycle, GROUP) for a in (arm, "control")
        )
        effects.append(mine / control)
    report.say(f"\ntarget activity over control's after {cycle} cycles of silencing")
    report.say(f"  critical period {estimate(effects[0])}   adulthood {estimate(effects[1])}")
    report.test("adulthood - critical period", paired(effects[1], effects[0]))


def draw(run: Run, metrics: pd.DataFrame, controls: Run | None) -> Figure:
    """Draw the paper-quality figure."""
    more = 0.0 if controls is None else 0.7 + 0.16 * len(controls.arms)
    drawn = figure(WIDTH, 4.5 + more)
    heights = [1.8, 1.8] if controls is None else [1.8, 1.8, more]
    rows = drawn.add_gridspec(len(heights), 3, height_ratios=heights)
    start = outcomes.onset_step(run)
    cells = metrics[(metrics["group"] == GROUP) | metrics["name"].str.startswith("ach_gap")]
    for k, (name, label) in enumerate(PANELS):
        axes = drawn.add_subplot(rows[0, k])
        outcomes.over_time(axes, cells, name, run.arms, start)
        axes.set(ylabel=label, xlabel="steps since the arms parted")
        outcomes.mark_periods(axes, run, start)
    two = drawn.add_subplot(rows[1, 0])
    _two_by_two(two, run, metrics)
    match = drawn.add_subplot(rows[1, 1])
    moved = metrics[metrics["group"] == f"{GROUP}_x0"]
    outcomes.over_time(match, moved, "move_to_perturbed", run.arms, start)
    match.set(
        ylabel="waking moves to the\nsilenced dreams (distance)",
        xlabel="steps since the arms parted",
    )
    match.axhline(0, color="#BBBBBB", lw=0.6, zorder=0)
    last = drawn.add_subplot(rows[1, 2])
    outcomes.over_time(last, metrics[metrics["group"] == ""], "ach_gap", run.arms, start)
    last.set(
        ylabel="ACh gap, wake minus\nunperturbed REM (D)", xlabel="steps since the arms parted"
    )
    if controls is not None:
        _controls(drawn.add_subplot(rows[2, :]), controls)
    handles, labels = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4)
    drawn.suptitle(title(run))
    for letter, axes in zip("abcdefg", drawn.axes, strict=False):
        axes.set_title(letter, loc="left", fontweight="bold")
    return drawn


def title(run: Run) -> str:
    """Return what was done in this run, in how many animals, and what bands and bars are."""
    targets = run.protocol.spec.targets[GROUP]
    count = f"{100 * targets.fraction:g} %" if targets.fraction is not None else "chosen cells"
    done = "Silencing or activating" if "rem_activated" in run.arms else "Silencing"
    line = f"{done} {count} of layer {targets.layer} in REM: "
    names = [name for name, _ in PANELS]
    line += described(run, [*names, "move_to_perturbed"], differences=False)
    return fill(line, 100)


def _two_by_two(axes: Axes, run: Run, metrics: pd.DataFrame) -> None:
    """Draw every animal as a point and the mean as a bar, with its number above it."""
    styles = arm_styles(run.arms)
    places = {"control": 0, "rem_silenced": 1, "ach_clamped": 2.4, "rem_silenced_ach_clamped": 3.4}
    for arm, x in places.items():
        y = values(metrics, arm, COLUMNS[0], CRITICAL, group=GROUP)
        found = estimate(y)
        colour = styles[arm][0]
        axes.bar(x, found.mean, 0.7, color=colour, alpha=0.4, edgecolor=colour, linewidth=1.2)
        axes.plot([x, x], [found.low, found.high], color="black", lw=1)
        axes.plot([x] * len(y), y, "o", mfc="white", mec=colour, ms=3, clip_on=False, zorder=4)
        top = max([*y, found.mean, found.high if found.n > 1 else found.mean])
        axes.text(x, top + 0.05, _number(found), ha="center", fontsize=6)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_xticks(
        list(places.values()), ["control", "silenced", "control", "silenced"], fontsize=6
    )
    for x, text in ((0.5, "ACh intact"), (2.9, "ACh clamped")):
        axes.text(x, -0.26, text, transform=axes.get_xaxis_transform(), ha="center")
    axes.set_ylabel("targets, end of critical\nperiod (1: onset)")


def _number(found: Estimate) -> str:
    return f"{found.mean:.3f}" if found.mean < 0.095 else f"{found.mean:.2f}"


def _controls(axes: Axes, run: Run) -> None:
    metrics = run.metrics
    cells = metrics[(metrics["group"] == GROUP) & (metrics["period"] == CRITICAL)]
    outcomes.at_end(axes, cells, COLUMNS[0], run.arms, CONTROL_COLOUR)
    axes.axvline(1, color=outcomes.QUIET, lw=0.6, zorder=0)
    axes.set_xlabel(
        f"controls: targets, waking activity, end of critical period (1: onset), "
        f"{described(run, [COLUMNS[0]], differences=False)}"
    )


def main() -> None:
    """Print the tables and draw the figure."""
    parser = arguments(__doc__)
    parser.add_argument("--controls", help="run folder of critical_period_controls")
    options = parser.parse_args()
    run = opened(
        options.run,
        made_for="protocols/critical_period.yaml",
        arms=FOUR,
        values=DRAWN,
        periods=[CRITICAL, ADULT],
        targets=[GROUP],
    )
    controls = None
    if options.controls:
        controls = opened(
            options.controls,
            made_for="protocols/critical_period_controls.yaml here",
            arms=["control"],
            values=COLUMNS[:4],
            periods=[CRITICAL],
            targets=[GROUP],
        )
    metrics = run.metrics
    report = tables(run, metrics)
    if controls is not None:
        report.say("\ncontrols, end of the critical period")
        report.say(arm_table(controls.metrics, controls.arms, COLUMNS[:4], CRITICAL, GROUP))
        against_reference(report, controls, controls.metrics, COLUMNS[0], CRITICAL, GROUP)
    print(report)
    with styled():
        path = options.out or run.folder / "figures" / "critical_period.png"
        print("\nfigure", save(draw(run, metrics, controls), path))


if __name__ == "__main__":
    script(main)
