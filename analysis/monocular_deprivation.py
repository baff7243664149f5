"""One eye closed: ocular dominance over time, and what each kind of closure does.

    python analysis/monocular_deprivation.py RUN [--out figure.png]

The left eye is the closed one: below 0, the closed eye lost; above 0, it gained.
"""

import pandas as pd
from common import (
    Report,
    against_reference,
    animals,
    arguments,
    arm_table,
    described,
    opened,
    script,
    values,
)

from neuro_aws.metrics.statistics import STUDENT, paired, paired_values
from neuro_aws.plots import outcomes
from neuro_aws.plots.style import WIDTH, Figure, figure, readable, save, styled
from neuro_aws.recording.reader import Run

NAMES = ["ocular_dominance", "ocular_dominance_response"]


def tables(run: Run, metrics: pd.DataFrame) -> Report:
    """Return the tables."""
    report = Report()
    periods = [s.name for s in run.protocol.spec.schedule[1:]]
    report.say(f"{run.folder}: {described(run, NAMES)}\n")
    for period in periods:
        report.say(
            f"(left - right) / (left + right) at the end of {period}; left is the closed eye"
        )
        report.say(arm_table(metrics, run.arms, NAMES, period, ""))
        report.say("\npaired difference to the reference arm of the same animals (weights)")
        against_reference(report, run, metrics, NAMES[0], period, "")
        report.say()
    pairs = [
        ("lid_suture", "inactivation"),
        ("lid_suture", "lid_suture_ach_blocked"),
        ("lid_suture", "wake_sleep_lid_suture"),
        ("inactivation", "wake_sleep_inactivation"),
    ]
    report.say(f"contrasts at the end of {periods[0]} (weights)")
    for a, b in pairs:
        if {a, b} <= set(run.arms):
            x, y = (values(metrics, arm, NAMES[0], periods[0]) for arm in (a, b))
            report.test(f"{a} - {b}", paired(x, y))
    return report


def draw(run: Run, metrics: pd.DataFrame) -> Figure:
    """Draw every animal against its own control: over time, and at the end of each period."""
    drawn = figure(WIDTH, 3.4 + 0.22 * len(run.arms))
    grid = drawn.add_gridspec(2, 2)
    start = outcomes.onset_step(run)
    apart = paired_values(metrics, outcomes.references(run), by=["step"])
    for column, name in enumerate(NAMES):
        axes = drawn.add_subplot(grid[0, column])
        outcomes.over_time(axes, apart, name, run.arms, start, STUDENT)
        axes.axhline(0, color="#BBBBBB", lw=0.6, zorder=0)
        kind = "weights" if column == 0 else "response"
        axes.set(
            ylabel=f"ocular dominance, {kind},\nanimal minus its own control (index)",
            xlabel="steps since the eye was closed",
        )
    for column, period in enumerate([p.name for p in run.protocol.spec.schedule[1:3]]):
        axes = drawn.add_subplot(grid[1, column])
        part = metrics[metrics["period"] == period]
        outcomes.against_reference(axes, part, NAMES[0], run.arms, outcomes.references(run))
        axes.set_xlabel(
            f"ocular dominance, weights, end of {readable(period)},\n"
            "animal minus its own control (index)"
        )
    handles, labels = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4)
    about = "one animal, no interval"
    if len(run.animals) > 1:
        about = f"mean and 95 % interval (paired, Student's t) over {animals(run)}; points: animals"
    drawn.suptitle(f"Monocular deprivation, left eye closed: {about}")
    return drawn


def main() -> None:
    """Print the tables and draw the figure."""
    options = arguments(__doc__).parse_args()
    run = opened(
        options.run,
        made_for="protocols/monocular_deprivation.yaml: the left eye closed, rate backend",
        arms=["control"],
        values=NAMES,
        periods=["critical_period"],
    )
    metrics = run.metrics
    print(tables(run, metrics))
    with styled():
        path = options.out or run.folder / "figures" / "monocular_deprivation.png"
        print("\nfigure", save(draw(run, metrics), path))


if __name__ == "__main__":
    script(main)
