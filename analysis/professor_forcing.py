"""Does professor forcing make free running look like teacher forcing, and at what cost?

    python analysis/professor_forcing.py RUN [--out figure.png]

For every arm in which nothing is perturbed, at the end of the run: NLL of held-out sequences (nats
a symbol, and over its reference's), hidden states of free runs against teacher-forced ones (the
measure `free_running`: distances with their floor, a fresh classifier), and statistics of free runs
at the length of training and beyond. Each against its reference (teacher forcing), animal by
animal, with the number of animals in which it is lower. Then what perturbations of REM do to
teacher-forced activity of the target cells, where the run has any.
"""

import numpy as np
import pandas as pd
from common import Report, animals, arguments, described, opened, script, values

from neuro_aws.metrics.statistics import estimate, paired
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
from neuro_aws.recording.reader import Run

REFERENCE = "teacher_forcing"
MADE_FOR = "protocols/professor_forcing.yaml"
COMPARED = (
    "objective",
    "course_distance",
    "course_classifier",
    "state_distance",
    "state_classifier",
    "ngram_distance",
    "ngram_distance_longer",
    "pair_distance",
    "pair_distance_longer",
)
DRAWN = ("objective", "course_distance", "course_classifier", "pair_distance_longer")
FLOORS = {
    "course_distance": "course_distance_real",
    "state_distance": "state_distance_real",
    "ngram_distance": "ngram_distance_real",
    "ngram_distance_longer": "ngram_distance_real",
    "pair_distance": "pair_distance_real",
    "pair_distance_longer": "pair_distance_real",
}
"""Of every distance what sequences of the data have among themselves."""

CELLS = ("target_activity_relative", "spared_activity_relative")


def theories(run: Run) -> list[str]:
    """Return the arms in which nothing is perturbed."""
    return [arm for arm in run.arms if not run.protocol.tree.arms[arm].perturb]


def reference_of(run: Run, arm: str) -> str:
    """Return the arm that one is compared with."""
    return run.protocol.tree.arms[arm].reference or arm


def compare(run: Run, metrics: pd.DataFrame, period: str, report: Report) -> None:
    """Say how each theory differs from teacher forcing."""
    for name in COMPARED:
        report.say(f"\n{readable(name)}")
        for arm in theories(run):
            reference = reference_of(run, arm)
            base = values(metrics, reference, name, period)
            mine = values(metrics, arm, name, period)
            floor = values(metrics, arm, FLOORS.get(name, ""), period)
            beside = f"   floor {estimate(floor.to_numpy())}" if len(floor) else ""
            report.say(f"  {readable(arm):<22} {estimate(mine.to_numpy())}{beside}")
            if arm == reference or not len(base):
                continue
            lower = int((mine.to_numpy() < base.to_numpy()).sum())
            report.test(f"{readable(arm)} - {readable(reference)}", paired(mine, base))
            report.say(f"  lower in {lower} of {len(mine)}")
            if name == "objective":
                report.say(f"  ratio {estimate((mine / base).to_numpy())}")


def perturbed(run: Run, metrics: pd.DataFrame, report: Report) -> None:
    """Say what perturbations did to teacher-forced activity, over each arm's own onset."""
    perturbed_ones = [arm for arm in run.arms if arm not in theories(run)]
    compared = {*perturbed_ones, *(reference_of(run, arm) for arm in perturbed_ones)}
    arms = [arm for arm in run.arms if arm in compared and len(values(metrics, arm, CELLS[0]))]
    if not arms:
        return
    report.say("\nteacher-forced activity over its onset: cells that are perturbed in REM, others")
    for arm in arms:
        found = [estimate(values(metrics, arm, name).to_numpy()) for name in CELLS]
        report.say(f"  {readable(arm):<34} {found[0]!s:<24} {found[1]}")
    for arm in arms:
        reference = reference_of(run, arm)
        if reference in arms and reference != arm:
            a, b = (values(metrics, x, CELLS[0]) for x in (arm, reference))
            report.test(f"{readable(arm)} - {readable(reference)}", paired(a, b))


def panel(axes: Axes, run: Run, metrics: pd.DataFrame, name: str, period: str) -> None:
    """Draw one value: a line for each animal, the mean with its interval, the floor."""
    arms = theories(run)
    table = pd.DataFrame({arm: values(metrics, arm, name, period) for arm in arms})
    for reference in dict.fromkeys(reference_of(run, arm) for arm in arms):
        places = [x for x, arm in enumerate(arms) if reference_of(run, arm) == reference]
        for _, row in table.iterrows():
            axes.plot(places, row.iloc[places], color="#BBBBBB", lw=0.7, zorder=1)
    for x, arm in enumerate(arms):
        e = estimate(table[arm].to_numpy())
        low, high = (0 if np.isnan(at) else abs(at - e.mean) for at in (e.low, e.high))
        colour = arm_styles(arms)[arm][0]
        axes.errorbar([x], [e.mean], [[low], [high]], fmt="o", color=colour, capsize=3, zorder=2)
    if name in FLOORS:
        floors = [values(metrics, arm, FLOORS[name], period).mean() for arm in arms]
        axes.plot(range(len(arms)), floors, "_", color="#7F7F7F", ms=12, label="among data")
        axes.legend()
    if name.endswith("classifier"):
        axes.axhline(0.5, color="#7F7F7F", ls=":", label="chance")
        axes.legend()
    axes.set_xticks(range(len(arms)), [readable(arm) for arm in arms], rotation=40, ha="right")
    axes.set_xlim(-0.5, len(arms) - 0.5)
    axes.set_ylabel("NLL, held out\n(nats a symbol)" if name == "objective" else value_label(name))


def draw(run: Run, metrics: pd.DataFrame, period: str) -> Figure:
    """Draw what was compared."""
    drawn = figure(WIDTH, 2.8)
    for axes, name in zip(drawn.subplots(1, len(DRAWN)), DRAWN, strict=True):
        panel(axes, run, metrics, name, period)
    bars = ", bars 95 % intervals over animals (Student's t)" if len(run.animals) > 1 else ""
    drawn.suptitle(f"{run.protocol.spec.name}: mean of {animals(run)}, a line an animal{bars}")
    return drawn


def main() -> None:
    """Print the comparisons and draw the figure."""
    options = arguments(__doc__).parse_args()
    needs = {"arms": [REFERENCE], "values": ["objective", "course_distance"]}
    run = opened(options.run, made_for=MADE_FOR, **needs)
    period, report = run.protocol.spec.schedule[-1].name, Report()
    report.say(f"{run.folder}: {described(run, COMPARED)}")
    compare(run, run.metrics, period, report)
    perturbed(run, run.metrics, report)
    print(report)
    with styled():
        path = options.out or run.folder / "figures" / "professor_forcing.png"
        print("\nfigure", save(draw(run, run.metrics, period), path))


if __name__ == "__main__":
    script(main)
