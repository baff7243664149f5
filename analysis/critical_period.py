"""The REM-silencing experiment: figure, table, paired tests, the interaction of the 2 x 2.

    python analysis/critical_period.py RUN [--controls RUN] [--out figure.png]

RUN is a run of protocols/critical_period.yaml, --controls one of critical_period_controls.yaml.
"""

import pandas as pd
from common import against_reference, arguments, arm_table, opened, test_line, values

from neuro_aws.metrics.statistics import estimate, interaction, paired
from neuro_aws.plots import outcomes
from neuro_aws.plots.style import Axes, Figure, arm_styles, figure, readable, save, styled
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
        cycles, dead = share.index.to_numpy(float), table[(arm, "target_never_active")]
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
        rows.append((animal, crossing, float(dead.loc[share.index[k]])))
    return pd.DataFrame(rows, columns=["animal", "cycle", "never_active"])


def lived_gap(metrics: pd.DataFrame, arm: str, silenced: bool) -> pd.Series:
    """Return the gap of ACh that D lives with in an arm, at the end of the critical period."""
    name = "ach_gap_perturbed" if silenced else "ach_gap"
    return values(metrics, arm, name, CRITICAL, group=f"{GROUP}_x0" if silenced else "")


def report(run: Run, metrics: pd.DataFrame) -> None:
    """Print the tables."""
    n = len(run.animals)
    print(f"{run.folder}: {n} animals; mean [95 % interval over animals]\n")
    for period in (CRITICAL, ADULT):
        print(f"targets ({GROUP}) at the end of {period}, relative to the onset of the arm")
        print(arm_table(metrics, run.arms, COLUMNS, period, GROUP).to_string(index=False))
        print("\npaired difference to the reference arm of the same animals (target activity)")
        print("\n".join(against_reference(run, metrics, COLUMNS[0], period, GROUP)), "\n")

    def activity(arm: str) -> pd.Series:
        return values(metrics, arm, COLUMNS[0], CRITICAL, group=GROUP)

    four = ["rem_silenced", "control", "rem_silenced_ach_clamped", "ach_clamped"]
    if set(four) <= set(run.arms):
        print("2 x 2, end of the critical period (target activity)")
        print(test_line("silencing with ACh", paired(activity(four[0]), activity(four[1]))))
        print(test_line("silencing, ACh clamped", paired(activity(four[2]), activity(four[3]))))
        print(test_line("interaction", interaction(*(activity(a) for a in four))))
        gaps = [lived_gap(metrics, a, "silenced" in a) for a in four]
        print("\nACh gap (mean D wake - REM) in the arm's own REM, end of the critical period")
        for arm, gap in zip(four, gaps, strict=True):
            print(f"  {arm:<28} {estimate(gap)}")
        print(
            test_line(
                "difference of differences, clamped - unclamped",
                interaction(gaps[2], gaps[3], gaps[0], gaps[1]),
            )
        )
    print(
        "\ncycle at which the targets passed half of the control's activity, and never-active then"
    )
    for arm, period in (("rem_silenced", CRITICAL), ("rem_silenced_adult", ADULT)):
        if arm not in run.arms:
            continue
        found = half_effect(metrics, arm, period, "control")
        reached = found["cycle"].notna().sum()
        print(
            f"  {arm:<28} reached in {reached} of {len(found)} animals; cycle "
            f"{estimate(found['cycle'])}; never active {estimate(found['never_active'])}"
        )
    _slowness(run, metrics)


def _slowness(run: Run, metrics: pd.DataFrame) -> None:
    """Compare silencing in the critical period and in adulthood after the same cycles."""
    if not {"rem_silenced", "rem_silenced_adult"} <= set(run.arms):
        return
    stretches = {s.name: s for s in run.protocol.tree.arms["control"].schedule.stretches}
    cycle = min(stretches[CRITICAL].cycles, stretches[ADULT].cycles)
    effects = []
    for arm, period in (("rem_silenced", CRITICAL), ("rem_silenced_adult", ADULT)):
        mine, control = (
            values(metrics, a, COLUMNS[0], period, cycle, GROUP) for a in (arm, "control")
        )
        effects.append(mine / control)
    print(f"\ntarget activity over control's after {cycle} cycles of silencing")
    print(f"  critical period {estimate(effects[0])}   adulthood {estimate(effects[1])}")
    print(test_line("adulthood - critical period", paired(effects[1], effects[0])))


def draw(run: Run, metrics: pd.DataFrame, controls: Run | None) -> Figure:
    """Draw the paper-quality figure."""
    drawn = figure(8.2, 5.0 if controls is None else 7.8)
    rows = drawn.add_gridspec(2 if controls is None else 3, 3)
    start = outcomes.onset_step(run)
    cells = metrics[(metrics["group"] == GROUP) | metrics["name"].str.startswith("ach_gap")]
    panels = [
        ("target_activity_relative", "targets, waking\nactivity (1: onset)"),
        ("spared_activity_relative", "spared cells, waking\nactivity (1: onset)"),
        ("target_never_active", "targets never active\n(share)"),
    ]
    for k, (name, label) in enumerate(panels):
        axes = drawn.add_subplot(rows[0, k])
        outcomes.over_time(axes, cells, name, run.arms, start)
        axes.set(ylabel=label, xlabel="steps since the arms parted")
        _periods(axes, run, start)
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
    gap = drawn.add_subplot(rows[1, 2])
    outcomes.over_time(gap, metrics[metrics["group"] == ""], "ach_gap", run.arms, start)
    gap.set(ylabel="ACh gap, wake minus\nunperturbed REM (D)", xlabel="steps since the arms parted")
    if controls is not None:
        _controls(drawn.add_subplot(rows[2, :]), controls)
    handles, labels = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4)
    n = len(run.animals)
    drawn.suptitle(
        f"Silencing or activating 30 % of layer 1 in REM: mean of {n} animals, "
        "bands 95 % intervals",
        fontsize=9,
    )
    for letter, axes in zip("abcdefg", drawn.axes, strict=False):
        axes.set_title(letter, loc="left", fontweight="bold")
    return drawn


def _periods(axes: Axes, run: Run, start: int) -> None:
    for stretch in run.protocol.tree.arms[run.arms[0]].schedule.stretches:
        if stretch.start > start:
            axes.axvline(stretch.start - start, color="#999999", lw=0.6, ls=":")
            axes.text(
                stretch.start - start,
                axes.get_ylim()[1],
                f" {stretch.name}",
                fontsize=6,
                color="#777777",
                va="top",
            )


def _two_by_two(axes: Axes, run: Run, metrics: pd.DataFrame) -> None:
    styles = arm_styles(run.arms)
    places = {"control": 0, "rem_silenced": 1, "ach_clamped": 2.4, "rem_silenced_ach_clamped": 3.4}
    for arm, x in places.items():
        if arm not in run.arms:
            continue
        y = values(metrics, arm, COLUMNS[0], CRITICAL, group=GROUP)
        e = estimate(y)
        axes.bar(x, e.mean, 0.7, color=styles[arm][0], alpha=0.5)
        axes.plot([x, x], [e.low, e.high], color="black", lw=1)
        axes.plot([x] * len(y), y, ".", color=styles[arm][0], ms=3)
    axes.set_xticks(
        list(places.values()), ["control", "silenced", "control", "silenced"], fontsize=6
    )
    axes.text(
        0.5, -0.24, "ACh intact", transform=axes.get_xaxis_transform(), ha="center", fontsize=7
    )
    axes.text(
        2.9, -0.24, "ACh clamped", transform=axes.get_xaxis_transform(), ha="center", fontsize=7
    )
    axes.set_ylabel("targets, end of critical\nperiod (1: onset)")


def _controls(axes: Axes, run: Run) -> None:
    metrics = run.metrics
    cells = metrics[(metrics["group"] == GROUP) & (metrics["period"] == CRITICAL)]
    outcomes.at_end(axes, cells, COLUMNS[0], run.arms)
    axes.axhline(1, color="#BBBBBB", lw=0.6, zorder=0)
    axes.set_ylabel(f"{readable(COLUMNS[0])}\n(points: animals)")


def main() -> None:
    """Print the tables and draw the figure."""
    parser = arguments(__doc__)
    parser.add_argument("--controls", help="run folder of critical_period_controls")
    options = parser.parse_args()
    run = opened(options.run)
    metrics = run.metrics
    report(run, metrics)
    controls = opened(options.controls) if options.controls else None
    if controls is not None:
        print("\ncontrols, end of the critical period")
        report_controls = controls.metrics
        print(
            arm_table(report_controls, controls.arms, COLUMNS[:4], CRITICAL, GROUP).to_string(
                index=False
            )
        )
        print("\n".join(against_reference(controls, report_controls, COLUMNS[0], CRITICAL, GROUP)))
    with styled():
        path = options.out or run.folder / "figures" / "critical_period.png"
        print("\nfigure", save(draw(run, metrics, controls), path))


if __name__ == "__main__":
    main()
