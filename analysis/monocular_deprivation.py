"""One eye closed: ocular dominance over time, and what each kind of closure does.

    python analysis/monocular_deprivation.py RUN [--out figure.png]

The left eye is the closed one: below 0, the closed eye lost; above 0, it gained.
"""

import pandas as pd
from common import against_reference, arguments, arm_table, opened, test_line, values

from neuro_aws.metrics.statistics import paired
from neuro_aws.plots import outcomes
from neuro_aws.plots.style import Figure, figure, save, styled
from neuro_aws.recording.reader import Run

NAMES = ["ocular_dominance", "ocular_dominance_response"]


def report(run: Run, metrics: pd.DataFrame) -> None:
    """Print the tables."""
    periods = [s.name for s in run.protocol.spec.schedule[1:]]
    print(f"{run.folder}: {len(run.animals)} animals; mean [95 % interval over animals]\n")
    for period in periods:
        print(f"(left - right) / (left + right) at the end of {period}; left is the closed eye")
        print(arm_table(metrics, run.arms, NAMES, period, "").to_string(index=False))
        print("\npaired difference to the reference arm of the same animals (weights)")
        print("\n".join(against_reference(run, metrics, NAMES[0], period, "")), "\n")
    pairs = [
        ("lid_suture", "inactivation"),
        ("lid_suture", "lid_suture_ach_blocked"),
        ("lid_suture", "wake_sleep_lid_suture"),
        ("inactivation", "wake_sleep_inactivation"),
    ]
    print(f"contrasts at the end of {periods[0]} (weights)")
    for a, b in pairs:
        if {a, b} <= set(run.arms):
            x, y = (values(metrics, arm, NAMES[0], periods[0]) for arm in (a, b))
            print(test_line(f"{a} - {b}", paired(x, y)))


def draw(run: Run, metrics: pd.DataFrame) -> Figure:
    """Draw dominance over time and at the end of each period."""
    drawn = figure(7.2, 5.6)
    grid = drawn.add_gridspec(2, 2)
    start = outcomes.onset_step(run)
    for column, name in enumerate(NAMES):
        axes = drawn.add_subplot(grid[0, column])
        outcomes.over_time(axes, metrics, name, run.arms, start)
        axes.axhline(0, color="#BBBBBB", lw=0.6, zorder=0)
        kind = "weights" if column == 0 else "response"
        axes.set(
            ylabel=f"ocular dominance, {kind}\n(closed - open) / sum",
            xlabel="steps since the eye was closed",
        )
    for column, period in enumerate([p.name for p in run.protocol.spec.schedule[1:3]]):
        axes = drawn.add_subplot(grid[1, column])
        outcomes.at_end(axes, metrics[metrics["period"] == period], NAMES[0], run.arms)
        axes.axhline(0, color="#BBBBBB", lw=0.6, zorder=0)
        axes.set(ylabel=f"weights, end of {period.replace('_', ' ')}")
        axes.tick_params(axis="x", labelsize=6)
    handles, labels = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=6)
    drawn.suptitle(
        f"Monocular deprivation: mean of {len(run.animals)} animals, bands and bars 95 % intervals",
        fontsize=9,
    )
    return drawn


def main() -> None:
    """Print the tables and draw the figure."""
    options = arguments(__doc__).parse_args()
    run = opened(options.run)
    metrics = run.metrics
    report(run, metrics)
    with styled():
        path = options.out or run.folder / "figures" / "monocular_deprivation.png"
        print("\nfigure", save(draw(run, metrics), path))


if __name__ == "__main__":
    main()
