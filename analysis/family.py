"""The family side by side: what each theory learnt, what it dreams, and what silencing REM does.

    python analysis/family.py RUN [--out figure.png] [--pairs 100]

RUN is a run of protocols/family.yaml. Gains are minus the same animal's value before anything was
learnt. A cycle is timed here, in process CPU time of one thread, the theories in turns, written out
(``--pairs`` cycles a round, medians of 3 rounds; 0: not at all).
"""

import statistics
import time
from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from common import Report, arguments, described, initially, opened, script, values

from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.experiment.session import one_thread
from neuro_aws.metrics.statistics import Estimate, estimate, paired
from neuro_aws.phase import Phase
from neuro_aws.plots.style import WIDTH, Axes, Figure, figure, readable, save, styled
from neuro_aws.protocol.columns import PHASE_CODES
from neuro_aws.protocol.theories import THEORIES
from neuro_aws.recording.reader import Run
from neuro_aws.recording.writer import Discard

LATER = "critical_period"
"""The period at whose end everything is looked at."""
ACTIVITY = "target_activity_relative"
MADE_FOR = "protocols/family.yaml"
ROUNDS = 3

BLOCKS = (
    [("linear_probe", 1, True), ("linear_probe", 2, True), ("linear_probe_noisy", 2, True)],
    [("objective", -1, True), ("reconstruction", 0, False)],
    [("sliced_distance", 0, False), ("diversity", 0, False), ("fresh_classifier", -1, False)],
)
"""Tables, each of values: name, layer, and whether its gain stands beside what it began with."""

NAMES = sorted({name for block in BLOCKS for name, _, _ in block})


def theories(run: Run) -> list[str]:
    """Return the arms that are theories, each its own reference."""
    return [arm for arm in run.arms if run.protocol.tree.arms[arm].reference == arm]


def silenced(run: Run, arm: str) -> str | None:
    """Return the arm in which the cells of a theory are silenced in REM."""
    found = [a for a in run.arms if a != arm and run.protocol.tree.arms[a].reference == arm]
    return found[0] if found else None


def of(metrics: pd.DataFrame, arm: str, name: str, layer: int) -> pd.Series:
    """Return a value of a theory that nothing perturbed, at the end, by animal."""
    return values(metrics, arm, name, LATER, layer=layer)


def learnt(run: Run, metrics: pd.DataFrame, block: list[tuple[str, int, bool]]) -> str:
    """Return a table of what was learnt: one row a theory."""
    rows = []
    for arm in theories(run):
        row = {"theory": arm}
        for name, layer, gain in block:
            found = of(metrics, arm, name, layer)
            key = f"{readable(name)}{f' {layer}' if layer >= 0 else ''}"
            if gain:
                began = initially(run, metrics, arm, name, layer)
                row[f"{key}, from"] = f"{began.mean():.3g}" if len(began) else "-"
                row["gain" + " " * len(row)] = str(estimate(found - began))
            else:
                row[key] = str(estimate(found, name))
        rows.append(row)
    return pd.DataFrame(rows).to_string(index=False)


def costs(run: Run, milliseconds: dict[str, float]) -> str:
    """Return the table of what a cycle takes, and of what is local."""
    rows = []
    for arm in theories(run):
        name = run.protocol.tree.arms[arm].initial.algorithm.name
        took = f"{milliseconds[arm]:.2f}" if arm in milliseconds else "-"
        rows.append([arm, took, THEORIES[name].local])
    return pd.DataFrame(rows, columns=["theory", "ms a cycle", "local"]).to_string(index=False)


def timed(run: Run, cycles: int) -> dict[str, float]:
    """Return median milliseconds that a cycle of each theory takes, timed in turns."""
    protocol, found = run.protocol, {arm: [] for arm in theories(run)}  # type: ignore[var-annotated]
    per_cycle = len(protocol.spec.schedule[0].phases)
    with one_thread():
        made = {arm: RateSimulator(protocol, protocol.tree.arms[arm].trunk, 0) for arm in found}
        for at in range(ROUNDS + 1):
            for arm, simulator in made.items():
                start, steps = time.process_time(), per_cycle * cycles
                simulator.advance(at * steps, (at + 1) * steps, Discard(), lambda: False)
                if at:  # the first round finds its way into the caches
                    found[arm].append((time.process_time() - start) / cycles * 1e3)
    return {arm: statistics.median(times) for arm, times in found.items()}


def moved(run: Run, arm: str) -> str:
    """Return how far F into layer 1 moved in each phase: summed lengths of changes, mean."""
    lengths = []
    for animal in run.animals:
        code = run.read(animal, arm, "plasticity/phase")
        length = run.read(animal, arm, "plasticity/layer1/feedforward_applied")
        lengths.append([float(length[code == PHASE_CODES[phase]].sum()) for phase in Phase])
    return " / ".join(f"{mean:.2g}" for mean in np.mean(lengths, 0))


def silencing(run: Run, metrics: pd.DataFrame, report: Report) -> None:
    """Add the table of what cells silenced in REM do when the world drives them."""
    rows = []
    for arm in theories(run):
        other = silenced(run, arm)
        if other is None:
            continue
        base, mine = (values(metrics, a, ACTIVITY, LATER) for a in (arm, other))
        both = (str(estimate(one, ACTIVITY)) for one in (base, mine))
        rows.append([arm, *both, moved(run, other)])
    columns = ["theory", "control", "silenced in REM", f"F moved in {' / '.join(Phase)}"]
    report.say("\nwaking activity of the target cells of layer 1 over onset; how far F moved when")
    report.say(pd.DataFrame(rows, columns=columns).to_string(index=False))
    report.say("\npaired difference to the control of the same theory")
    for arm in theories(run):
        other = silenced(run, arm)
        if other is not None:
            base, mine = (values(metrics, a, ACTIVITY, LATER) for a in (arm, other))
            report.test(f"{other} - {arm}", paired(mine, base))


def panel(
    axes: Axes, arms: Sequence[str], found: Sequence[pd.Series], name: str | None, at: float | None
) -> None:
    """Draw one value of every theory: animals, mean and interval; ``at``: what to compare with."""
    for row, one in enumerate(found):
        if not len(one):
            continue
        e: Estimate = estimate(one, name)
        axes.plot(one, [row] * len(one), ".", color="#BBBBBB", ms=3, zorder=1)
        bars = np.nan_to_num([[e.mean - e.low], [e.high - e.mean]])
        axes.errorbar(e.mean, row, xerr=bars, fmt="o", color="#0072B2", ms=3, capsize=2)
    if at is not None:
        axes.axvline(at, color="#888888", lw=0.6, ls=":", zorder=0)
    axes.set(ylim=(len(arms) - 0.5, -0.5), yticks=range(len(arms)), yticklabels=[])


def draw(run: Run, metrics: pd.DataFrame) -> Figure:
    """Draw what was learnt, what is dreamt, and what silencing does, a row for each theory."""
    arms = theories(run)
    drawn = figure(WIDTH, 1.3 + 0.22 * len(arms))

    def gains(name: str, layer: int) -> list[pd.Series]:
        began = [initially(run, metrics, arm, name, layer) for arm in arms]
        return [of(metrics, a, name, layer) - b for a, b in zip(arms, began, strict=True)]

    def effect(arm: str) -> pd.Series:
        other = silenced(run, arm)
        return pd.Series(dtype=float) if other is None else values(metrics, other, ACTIVITY, LATER)

    def at_end(name: str, layer: int) -> list[pd.Series]:
        return [of(metrics, arm, name, layer) for arm in arms]

    panels: list[tuple[str, str, list[pd.Series], str | None, float | None]] = [
        ("a  probe of layer 2,\ngain", "accuracy", gains("linear_probe", 2), None, 0.0),
        ("b  unexplained\nvariance", "share", at_end("reconstruction", 0), None, None),
        ("c  distance\nof dreams", "stimulus units", at_end("sliced_distance", 0), None, None),
        (
            "d  fresh\nclassifier",
            "accuracy",
            at_end("fresh_classifier", -1),
            "fresh_classifier",
            0.5,
        ),
        ("e  silenced in REM,\nwaking after", "onset = 1", [effect(a) for a in arms], None, 1.0),
    ]
    panels = [one for one in panels if any(map(len, one[2]))]  # what was measured
    grid = drawn.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, unit, found, name, at) in zip(grid, panels, strict=True):
        panel(axes, arms, found, name, at)
        axes.set_title(title, loc="left")
        axes.set_xlabel(unit)
    grid[0].set_yticklabels([readable(a) for a in arms])
    about = described(run, ["reconstruction"], differences=False)
    drawn.suptitle(fill(f"The family: {about}; points: animals; empty: not applicable", 100))
    return drawn


def main() -> None:
    """Print the tables and draw the figure."""
    parser = arguments(__doc__)
    parser.add_argument("--pairs", type=int, default=100, help="cycles timed a round; 0: none")
    options = parser.parse_args()
    run = opened(
        options.run,
        made_for=MADE_FOR,
        values=["objective", ACTIVITY],
        periods=[LATER],
        targets=["cells"],
    )
    metrics, report = run.metrics, Report()
    report.say(f"{run.folder}: {described(run, NAMES)}")
    for block in BLOCKS:
        report.say(f"\n{learnt(run, metrics, block)}")
    report.say(f"\n{costs(run, timed(run, options.pairs) if options.pairs else {})}")
    silencing(run, metrics, report)
    print(report)
    with styled():
        path = options.out or run.folder / "figures" / "family.png"
        print("\nfigure", save(draw(run, metrics), path))


if __name__ == "__main__":
    script(main)
