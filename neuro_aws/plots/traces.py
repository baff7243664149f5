"""ACh against plasticity, one arm of one animal: time courses under a hypnogram, and what relates.

Below the time courses: each step's change against ACh and teaching (scatters.py), and each
stimulus' teaching against its ACh where single stimuli were recorded (by_stimulus.py).
"""

from collections.abc import Iterable
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.correlation import OF_SHIFTS, OF_SHUFFLES
from neuro_aws.phase import FEEDFORWARD
from neuro_aws.plots import by_stimulus, scatters
from neuro_aws.plots.hypnogram import PHASE_NAMES, close_up, gate_bar, hypnogram, period_bar, shade
from neuro_aws.plots.scatters import FACTOR
from neuro_aws.plots.style import ARM_COLOURS, PHASE_COLOURS, WIDTH, Axes, Figure, figure, readable
from neuro_aws.recording.reader import Run

TRACES = {
    "ach": "ACh (D, batch mean)",
    "release": "released ACh (D - REM mean)",
    "gate": "gate (factor)",
    "teaching": "teaching |dD/dh| (D per rate)",
    "raw": "raw |dF| (Delta per step)",
    "plasticity": "applied |dF| (weight per step)",
    "feedback": "applied |dG| (weight per step)",
    "discriminator": "applied |dD| (weight per step)",
}
"""Traces by the name ``plot --traces`` gives them, with their axis labels."""

VARIABLES = {
    "teaching": "teaching",
    "plasticity": "feedforward_applied",
    "raw": "feedforward_raw",
    "feedback": "feedback_applied",
    "discriminator": "discriminator_applied",
}
DEFAULT_TRACES = ["gate", "ach", "teaching", "raw", "plasticity"]
BAR, TRACE, SCATTER, STIMULI, WORDS = 0.22, 0.95, 1.45, 1.6, 0.5
"""Inches that a row takes: the gate, a trace, scatters, single stimuli, the words below."""


def table(run: Run, animal: int, arm: str) -> pd.DataFrame:
    """Return every trace that can be drawn, one row a step: what ``--csv`` exports.

    The columns animal, arm, period, phase and step come first.
    """
    codes = run.phase_codes()
    frame = run.traces(animal, arm).to_dataframe().reset_index()
    frame["phase"] = [codes.get(int(c), "") if c == c else "" for c in frame["phase"]]
    stretches = run.protocol.tree.plan(arm).schedule.stretches
    index = np.searchsorted([s.start for s in stretches], frame["step"], side="right") - 1
    names = np.array([s.name for s in stretches])
    frame[FACTOR] = np.array([s.scales[FEEDFORWARD] for s in stretches])[index]
    where: dict[str, Any] = {
        "animal": animal,
        "arm": arm,
        "period": names[index],
        "phase": frame.pop("phase"),
    }
    for place, (name, values) in enumerate(where.items()):
        frame.insert(place, name, values)
    return frame


def series(frame: pd.DataFrame, trace: str) -> dict[str, str]:
    """Return the columns behind a trace: label -> column."""
    if trace not in TRACES:
        raise NeuroAWSError(
            f"no trace {trace!r}", where="--traces", next_step="Traces: " + ", ".join(TRACES)
        )
    if trace not in VARIABLES:
        return {"": trace}
    suffix = f"_{VARIABLES[trace]}"
    columns = [c for c in frame.columns if c.startswith("layer") and c.endswith(suffix)]
    return {c.removesuffix(suffix).replace("layer", "layer "): c for c in columns}


def drawn_columns(frame: pd.DataFrame, traces: list[str]) -> pd.DataFrame:
    """Return where each step belongs, and the columns behind the traces and the scatters."""
    columns = ["animal", "arm", "period", "phase", "step"]
    for trace in [*traces, "ach", "teaching", "raw", "plasticity"]:
        columns += [c for c in series(frame, trace).values() if c not in columns]
    return frame[columns]


def branch_figure(run: Run, animal: int, arm: str) -> Figure:
    """Draw ACh against plasticity for one arm of one animal."""
    return draw(run, animal, arm, DEFAULT_TRACES)


def draw(run: Run, animal: int, arm: str, traces: list[str]) -> Figure:
    """Draw time courses (whole run and close-up), and how ACh and teaching relate to change."""
    frame = table(run, animal, arm)
    for trace in traces:
        series(frame, trace)
    samples = by_stimulus.recorded(run, animal, arm)
    heights = [BAR if trace == "gate" else TRACE for trace in traces]
    blocks = [0.9 + sum(heights), 0.3 + 2 * SCATTER, *([STIMULI] if samples else [])]
    drawn = figure(WIDTH, 0.3 + sum(blocks) + WORDS)
    grid = drawn.add_gridspec(len(blocks), 1, height_ratios=blocks)
    words = _time_courses(drawn, grid[0], run, frame, traces, heights)
    scatters.draw(drawn, grid[1], frame)
    null = f"Null of a correlation: {OF_SHIFTS}; n: steps in which F changed."
    if samples is not None:
        by_stimulus.draw(drawn, grid[2], samples)
        null += f" Of single stimuli: {OF_SHUFFLES}."
    spec = run.protocol.tree.arms[arm].spec
    below = [scatters.variation(frame), scatters.optimiser(spec), null]
    drawn.supxlabel("\n".join(fill(line, 124) for line in below if line), fontsize=6.5)
    rule, credit = spec.algorithm.name, getattr(spec.algorithm, "credit", None)
    title = f"{run.protocol.spec.name}: {readable(arm)}, animal {animal}, {readable(rule)}"
    if credit is not None:
        title += f", credit {credit}"
    drawn.suptitle("\n".join(fill(line, 100) for line in (title, *words)))
    return drawn


def _time_courses(
    drawn: Figure,
    place: Any,
    run: Run,
    frame: pd.DataFrame,
    traces: list[str],
    heights: list[float],
) -> list[str]:
    """Draw all traces over the whole run and step by step; return what the shading means."""
    animal, arm = int(frame["animal"].iloc[0]), str(frame["arm"].iloc[0])
    phases = run.intervals(animal, arm, "phases")
    perturbations = run.intervals(animal, arm, "perturbations")
    grid = place.subgridspec(len(traces) + 1, 2, height_ratios=[0.4, *heights])
    for column, (start, stop) in enumerate(spans(run, frame, phases, perturbations)):
        whole = column == 0
        top = drawn.add_subplot(grid[0, column])
        if whole:
            period_bar(top, _periods(run, arm), start, stop)
            top.set_title("whole run, running means by phase", loc="right")
        else:
            hypnogram(top, phases, start, stop)
            top.set_title("close-up, step by step", loc="right")
        top.tick_params(labelbottom=False)
        for i, trace in enumerate(traces):
            axes = drawn.add_subplot(grid[i + 1, column], sharex=top)
            shown = frame[(frame["step"] >= start) & (frame["step"] < stop)]
            if trace == "gate":
                _gate(axes, shown, whole)
            elif whole:
                _running_means(axes, shown, trace)
                axes.set_ylabel(TRACES[trace].replace(" (", "\n("))
            else:
                _every_step(axes, shown, trace)
            if trace != "gate":
                shade(axes, perturbations)
            axes.tick_params(labelbottom=i == len(traces) - 1)
        axes.set_xlabel("step (one batch in one phase)")
    labels = list(dict.fromkeys(perturbations["label"]))
    return [f"shaded: {'; '.join(labels)}"] if labels else []


def spans(
    run: Run, frame: pd.DataFrame, phases: pd.DataFrame, perturbations: pd.DataFrame
) -> list[tuple[int, int]]:
    """Return the steps of the whole run, and of the close-up of what happened first."""
    first, last = int(frame["step"].min()), int(frame["step"].max()) + 1
    if len(perturbations):
        event = int(perturbations["start"].min())
    else:
        event = run.protocol.tree.arms[frame["arm"].iloc[0]].branch or (first + last) // 2
    return [(first, last), close_up(phases, event, first, last)]


def _periods(run: Run, arm: str) -> list[tuple[str, int, int]]:
    return [(s.name, s.start, s.stop) for s in run.protocol.tree.arms[arm].schedule.stretches]


def _gate(axes: Axes, shown: pd.DataFrame, whole: bool) -> None:
    """Draw when the gate is open: at every step, or over the run that of the steps it opens in."""
    if whole:
        phases = shown.groupby("phase")["gate"].max()
        shown = shown[shown["phase"].isin(phases.index[phases > 0])]
    if len(shown):
        gap = apart(shown["step"]) if whole else 1.0
        gate_bar(axes, shown["step"].to_numpy(), shown["gate"].to_numpy(), gap)
    if whole:
        names = ", ".join(PHASE_NAMES[p] for p in dict.fromkeys(shown["phase"])) or "never"
        axes.set_title(f"gate open: {names}", loc="left", fontsize=6, pad=2)


def _running_means(axes: Axes, shown: pd.DataFrame, trace: str) -> None:
    columns = series(shown, trace)
    if "" in columns:
        for phase in PHASE_COLOURS:
            rows = shown[shown["phase"] == phase]
            if rows.empty:
                continue
            course = broken(rows["step"], running(rows[columns[""]]))
            axes.plot(*course, color=PHASE_COLOURS[phase], label=PHASE_NAMES[phase])
    else:
        changed = changing(shown, columns.values())
        for k, (label, column) in enumerate(columns.items()):
            course = broken(changed["step"], running(changed[column]))
            axes.plot(*course, color=ARM_COLOURS[k], label=label)
        axes.set_ylim(bottom=0)
    axes.legend(loc="best", ncols=3)


def changing(shown: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return the steps of the phases in which any of these columns is ever above 0."""
    sizes = shown[list(columns)].sum(axis=1).groupby(shown["phase"]).sum()
    return shown[shown["phase"].isin(sizes.index[sizes > 0])]


def _every_step(axes: Axes, shown: pd.DataFrame, trace: str) -> None:
    """Draw a dash for each step: a step has one value, and nothing goes from one to the next."""
    steps = shown["step"].to_numpy()
    columns = series(shown, trace)
    for k, (label, column) in enumerate(columns.items()):
        colours: Any = ARM_COLOURS[k] if label else [PHASE_COLOURS[p] for p in shown["phase"]]
        axes.hlines(shown[column], steps, steps + 1, colors=colours, lw=1.6)
    if "" not in columns:
        axes.set_ylim(bottom=0)


def apart(steps: pd.Series) -> float:
    """Return how many steps may lie between two that a line joins: a 60th of all, or 4 usual."""
    usual = float(steps.diff().median()) if len(steps) > 1 else 1.0
    return float(max(4 * usual, (steps.iloc[-1] - steps.iloc[0]) / 60))


def broken(steps: pd.Series, values: pd.Series) -> tuple[Any, Any]:
    """Return a line that is broken where its steps are far apart: nothing is known in between."""
    x, y = steps.to_numpy(float), values.to_numpy(float)
    if len(x) < 2:
        return x, y
    ends = np.flatnonzero(np.diff(x) > apart(steps)) + 1
    return np.insert(x, ends, x[ends - 1]), np.insert(y, ends, np.nan)


def running(values: pd.Series) -> pd.Series:
    """Return running means over a 150th of the values."""
    return values.rolling(max(1, len(values) // 150), center=True, min_periods=1).mean()
