"""Dose of ACh and response: waking activity of cells silenced in REM, and of controls.

    python analysis/ach_dose.py RUN [--out figure.png]

RUN is a run of protocols/ach_dose.yaml. A dose multiplies what F learns in a step: if all that it
sets is the pace, activity depends on dose x time, and half-times fall as 1 / dose.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from common import animals, arguments, opened, refusal, script, values

from neuro_aws.metrics.statistics import Estimate, estimate
from neuro_aws.phase import REM, WAKE
from neuro_aws.plots.style import ARM_COLOURS, WIDTH, Axes, Figure, figure, save, styled
from neuro_aws.recording.reader import Run

ACTIVITY, OTHERS = "target_activity_relative", "spared_activity_relative"
MADE_FOR = "protocols/ach_dose.yaml, or one like it"


@dataclass(frozen=True)
class Dosed:
    """An arm: what ACh's effect is multiplied by, and which cells, if any, are silenced in REM."""

    arm: str
    dose: float
    silenced: str | None


def dosed(run: Run) -> list[Dosed]:
    """Return the arms that do nothing but give a dose, silence cells in REM, or both."""
    found = []
    for arm in run.arms:
        dose, cells, other = 1.0, None, False
        for p in run.protocol.tree.arms[arm].perturb:
            if p.block is not None:
                dose = 0.0
            elif p.dose is not None and p.dose.labels is None:
                dose *= p.dose.by
            elif p.silence is not None and p.silence.targets and p.during == (REM,):
                cells = p.silence.targets
            else:
                other = True
        if not other:
            found.append(Dosed(arm, dose, cells))
    return sorted(found, key=lambda one: one.dose)


def courses(run: Run, one: Dosed) -> pd.DataFrame:
    """Return the targets' activity by animal (column) and pairs since the arms parted (row)."""
    plan, metrics = run.protocol.tree.arms[one.arm], run.metrics
    stretch = next(s for s in plan.schedule.stretches if s.start == plan.branch)
    rows = metrics[
        (metrics["arm"] == one.arm)
        & (metrics["name"] == ACTIVITY)
        & (metrics["period"] == stretch.name)
    ]
    if one.silenced is not None:
        rows = rows[rows["group"] == one.silenced]
    found = rows.pivot_table(index="cycle", columns="animal", values="value")
    found.index = found.index * stretch.count(WAKE)
    return found


def half_time(course: pd.Series) -> float:
    """Return the pairs after which one animal's activity has fallen to a half; nan: not yet.

    Between two measurements it is taken to fall exponentially.
    """
    below = np.flatnonzero(course.to_numpy() < 0.5)
    if not len(below) or below[0] == 0:
        return float("nan")
    before, after = below[0] - 1, below[0]
    high, low = np.log(course.iloc[before] / 0.5), np.log(course.iloc[after] / 0.5)
    x, y = course.index[before], course.index[after]
    return float(x + high / (high - low) * (y - x))


def tables(run: Run, arms: list[Dosed]) -> str:
    """Return activity at the end of each dose, and the half-times of the silenced cells."""
    rows = []
    for one in [one for one in arms if one.silenced is not None]:
        half = estimate(courses(run, one).apply(half_time))
        alone = (a.arm for a in arms if a.dose == one.dose and a.silenced is None)
        asked = [(one.arm, ACTIVITY), (one.arm, OTHERS), (next(alone, ""), ACTIVITY)]
        shown = [estimate(values(run.metrics, *what, group=one.silenced)) for what in asked]
        scaled = Estimate(one.dose * half.mean, one.dose * half.low, one.dose * half.high, half.n)
        rows.append([f"{one.dose:g}", *map(str, (*shown, half, scaled))])
    head = ["dose", "silenced", "non-target", "dose alone", "pairs to half", "dose x pairs to half"]
    return pd.DataFrame(rows, columns=head).to_string(index=False)


def _at_end(axes: Axes, run: Run, arms: list[Dosed]) -> None:
    doses = sorted({one.dose for one in arms})
    kinds = (
        ("silenced in REM: targets", True, ACTIVITY, "o", ARM_COLOURS[1]),
        ("silenced in REM: other cells", True, OTHERS, "s", ARM_COLOURS[3]),
        ("dose alone: the same targets", False, ACTIVITY, "o", ARM_COLOURS[0]),
    )
    group = next(one.silenced for one in arms if one.silenced is not None)
    for label, silenced, name, marker, colour in kinds:
        mine = [one for one in arms if (one.silenced is not None) == silenced]
        found = [estimate(values(run.metrics, one.arm, name, group=group)) for one in mine]
        errors = [[e.mean - e.low for e in found], [e.high - e.mean for e in found]]
        at = [doses.index(one.dose) for one in mine]
        mean = [e.mean for e in found]
        axes.errorbar(at, mean, errors, marker=marker, ms=3, capsize=2, color=colour, label=label)
    axes.set_xticks(range(len(doses)), [f"{dose:g}" for dose in doses])
    axes.set(xlabel="effect of ACh on plasticity (usual = 1)", ylim=(0, None))
    axes.set_ylabel("waking activity at the end (onset = 1)")
    axes.legend(loc="center right")


def _over_time(axes: Axes, run: Run, arms: list[Dosed]) -> None:
    treated = [one for one in arms if one.silenced is not None and one.dose > 0]
    for one, colour in zip(treated, ARM_COLOURS[1:], strict=False):
        course = courses(run, one)
        found = [estimate(row) for _, row in course.iterrows()]
        x = one.dose * course.index.to_numpy()
        axes.plot(x, [e.mean for e in found], ".-", color=colour, ms=3, label=f"dose {one.dose:g}")
        low, high = ([getattr(e, side) for e in found] for side in ("low", "high"))
        axes.fill_between(x, np.maximum(low, 1e-9), high, color=colour, alpha=0.2, linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(0.01, 1.3)
    axes.set_xlim(0, 1.02 * max(courses(run, one).index[-1] for one in treated))
    axes.set(xlabel="dose x pairs since the silencing began", ylabel="waking activity (onset = 1)")
    axes.legend(loc="lower left")


def draw(run: Run, arms: list[Dosed]) -> Figure:
    """Draw activity at the end against the dose, and over dose x time."""
    drawn = figure(WIDTH, 2.9)
    left, right = drawn.subplots(1, 2)
    _at_end(left, run, arms)
    _over_time(right, run, arms)
    bars = ", bars and bands 95 % intervals over animals (Student's t)"
    drawn.suptitle(f"Mean of {animals(run)}{bars if len(run.animals) > 1 else ''}")
    return drawn


def main() -> None:
    """Print the table and draw the figure."""
    options = arguments(__doc__).parse_args()
    run = opened(options.run, made_for=MADE_FOR, arms=["control"], values=[ACTIVITY])
    arms = dosed(run)
    if len({one.dose for one in arms if one.silenced is not None}) < 2:
        raise refusal(run, "silences no cells under several doses of ACh", MADE_FOR)
    print(f"{run.folder}: {animals(run)}; activity over onset at the end, Student's t")
    print(tables(run, arms))
    with styled():
        path = options.out or run.folder / "figures" / "ach_dose.png"
        print("\nfigure", save(draw(run, arms), path))


if __name__ == "__main__":
    script(main)
