"""Neuromodulator against plasticity: time courses under a hypnogram, and scatters with a null."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.plots.hypnogram import hypnogram, period_bar, shade
from neuro_aws.plots.style import ARM_COLOURS, PHASE_COLOURS, WIDTH, Axes, Figure, figure, readable
from neuro_aws.recording.reader import Run

TRACES = {
    "ach": "ACh (D, batch mean)",
    "release": "released ACh (D - REM mean)",
    "gate": "gate (factor)",
    "teaching": "teaching |dD/dh| (D per rate)",
    "plasticity": "applied |dF| (weight per step)",
    "raw": "raw |dF| (Delta per step)",
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
SHUFFLES = 1000
ZOOM = 120
"""Steps in the close-up."""

POINTS = 2000
"""At most so many points in a scatter; the correlation is of all."""


@dataclass(frozen=True)
class Correlation:
    """Pearson's r, and the range that 95 % of the shuffled ones fall into."""

    r: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"r = {self.r:+.2f} (95 % of shifts: {self.low:+.2f} to {self.high:+.2f})"


def correlation(x: NDArray[Any], y: NDArray[Any]) -> Correlation:
    """Return r with its shuffled null: one of the two in a circular shift by random steps.

    A circular shift breaks the pairing and keeps the slow drifts that both series have; a plain
    permutation would destroy them, and any two drifts would count as evidence.
    """
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 10 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(np.nan, np.nan, np.nan, len(x))
    a, b = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    r = float(np.mean(a * b))
    shifts = np.random.default_rng(0).integers(1, len(a), SHUFFLES)
    around = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), len(a)) / len(a)
    low, high = np.quantile(around[shifts], [0.025, 0.975])
    return Correlation(r, float(low), float(high), len(x))


def table(run: Run, animal: int, arm: str) -> pd.DataFrame:
    """Return every trace that can be drawn, one row a step: what ``--csv`` exports."""
    traces = run.traces(animal, arm)
    codes = run.phase_codes()
    frame = traces.to_dataframe().reset_index()
    frame["phase"] = [codes.get(int(c), "") if c == c else "" for c in frame["phase"]]
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


DEFAULT_TRACES = ["ach", "gate", "teaching", "plasticity"]


def branch_figure(run: Run, animal: int, arm: str) -> Figure:
    """Draw ACh against plasticity for one arm of one animal."""
    return draw(run, animal, arm, DEFAULT_TRACES)


def draw(run: Run, animal: int, arm: str, traces: list[str]) -> Figure:
    """Draw the time courses (whole run and close-up) and the scatters of one arm."""
    frame = table(run, animal, arm)
    for trace in traces:
        series(frame, trace)
    phases = run.intervals(animal, arm, "phases")
    perturbations = run.intervals(animal, arm, "perturbations")
    rows = len(traces)
    drawn = figure(WIDTH, 0.8 + 1.0 * rows + 3.0)
    outer = drawn.add_gridspec(2, 1, height_ratios=[0.35 + rows, 2.7])
    grid = outer[0].subgridspec(rows + 1, 2, height_ratios=[0.28] + [1] * rows)
    spans = _spans(run, frame, arm, perturbations)
    for column, (start, stop) in enumerate(spans):
        top = drawn.add_subplot(grid[0, column])
        if column == 0:
            period_bar(top, _periods(run, arm), start, stop)
            top.set_title("whole run, running means by phase", loc="right")
        else:
            hypnogram(top, phases, start, stop)
            top.set_title("close-up, every step", loc="right")
        top.tick_params(labelbottom=False)
        for i, trace in enumerate(traces):
            axes = drawn.add_subplot(grid[i + 1, column], sharex=top)
            _time_course(axes, frame, trace, (start, stop), smooth=column == 0)
            shade(axes, perturbations)
            axes.tick_params(labelbottom=i == rows - 1)
            if column == 0:
                axes.set_ylabel(TRACES[trace].replace(" (", "\n("))
        axes.set_xlabel("step (one batch in one phase)")
    _scatters(drawn, outer[1], frame)
    algorithm = run.protocol.tree.arms[arm].spec.algorithm
    rule, credit = algorithm.name, getattr(algorithm, "credit", None)
    title = f"{run.protocol.spec.name}: {readable(arm)}, animal {animal}, {readable(rule)}"
    if credit is not None:
        title += f", credit {credit}"
    drawn.suptitle(title + ("; shaded: window of a perturbation" if len(perturbations) else ""))
    return drawn


def _spans(
    run: Run, frame: pd.DataFrame, arm: str, perturbations: pd.DataFrame
) -> list[tuple[int, int]]:
    first, last = int(frame["step"].min()), int(frame["step"].max()) + 1
    if len(perturbations):
        middle = int(perturbations["start"].min())
    else:
        middle = run.protocol.tree.arms[arm].branch or (first + last) // 2
    start = max(first, min(middle - ZOOM // 3, last - ZOOM))
    return [(first, last), (start, min(last, start + ZOOM))]


def _periods(run: Run, arm: str) -> list[tuple[str, int, int]]:
    return [(s.name, s.start, s.stop) for s in run.protocol.tree.arms[arm].schedule.stretches]


def _time_course(
    axes: Axes, frame: pd.DataFrame, trace: str, span: tuple[int, int], smooth: bool
) -> None:
    shown = frame[(frame["step"] >= span[0]) & (frame["step"] < span[1])]
    columns = series(frame, trace)
    by_phase = trace in ("ach", "release", "gate")
    if not smooth:
        for k, (label, column) in enumerate(columns.items()):
            axes.plot(
                shown["step"],
                shown[column],
                color=ARM_COLOURS[k],
                label=label,
                lw=0.8,
                drawstyle="steps-mid",  # a step has one value; nothing goes from one to the next
            )
    elif by_phase:
        for phase, rows in shown.groupby("phase"):
            values = running(rows[columns[""]])
            axes.plot(rows["step"], values, color=PHASE_COLOURS[str(phase)], label=str(phase))
    else:
        changing = shown[shown[list(columns.values())].abs().sum(axis=1) > 0]
        for k, (label, column) in enumerate(columns.items()):
            axes.plot(
                changing["step"], running(changing[column]), color=ARM_COLOURS[k], label=label
            )
    if smooth:
        axes.legend(loc="best", ncols=3)


def running(values: pd.Series) -> pd.Series:
    """Return running means over a 150th of the values."""
    return values.rolling(max(1, len(values) // 150), center=True, min_periods=1).mean()


def _scatters(drawn: Figure, place: Any, frame: pd.DataFrame) -> None:
    layers = series(frame, "plasticity")
    grid = place.subgridspec(2, len(layers))
    for column, (label, applied) in enumerate(layers.items()):
        learnt = frame[frame[applied] > 0]
        teaching = applied.replace("feedforward_applied", "teaching")
        for row, (x, name) in enumerate((("ach", TRACES["ach"]), (teaching, TRACES["teaching"]))):
            axes = drawn.add_subplot(grid[row, column])
            a, b = learnt[x].to_numpy(float), learnt[applied].to_numpy(float)
            found = correlation(a, b)
            every = max(1, len(a) // POINTS)
            axes.plot(a[::every], b[::every], ".", ms=1.5, alpha=0.35, color=ARM_COLOURS[column])
            axes.set(xlabel=name, ylabel=f"applied |dF|, {label}\n(weight per step)")
            text = f"{found}, n = {found.n}" if found.n and found.r == found.r else "does not vary"
            axes.set_title(text)


def correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Return r, null and n for ACh and teaching against applied |dF| of every layer."""
    rows = []
    for label, applied in series(frame, "plasticity").items():
        learnt = frame[frame[applied] > 0]
        teaching = applied.replace("feedforward_applied", "teaching")
        for x in ("ach", teaching):
            found = correlation(learnt[x].to_numpy(float), learnt[applied].to_numpy(float))
            name = "ach" if x == "ach" else "teaching"
            rows.append((label, name, found.r, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["layer", "signal", "r", "null_low", "null_high", "n"])


def drawn_columns(frame: pd.DataFrame, traces: list[str]) -> pd.DataFrame:
    """Return step, phase, and the columns behind the traces and the scatters."""
    columns = ["step", "phase"]
    for trace in [*traces, "ach", "teaching", "plasticity"]:
        columns += [c for c in series(frame, trace).values() if c not in columns]
    return frame[columns]
