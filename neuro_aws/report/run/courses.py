"""Time courses of one animal: hypnogram, gate, ACh, teaching and change of weights, arm by arm."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuro_aws.phase import Phase
from neuro_aws.plots import traces
from neuro_aws.plots.events import Tables
from neuro_aws.plots.hypnogram import GATE, LEVELS, PHASE_NAMES, SHADE
from neuro_aws.plots.style import ARM_COLOURS, PHASE_COLOURS, readable
from neuro_aws.protocol.backends import backend_of
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Chart, Part, Section, Table, Words
from neuro_aws.report.interactive.over_time import Level, Row, Strand, over_time
from neuro_aws.report.run.thinning import edges, thinned
from neuro_aws.report.wording import listed

SHOWN = traces.DEFAULT_TRACES
"""Traces that are drawn where they were recorded; the gate as a line of the hypnogram."""

LAYER_COLOURS = tuple(c for c in ARM_COLOURS if c not in (SHADE, GATE))

MOST_ARMS = 8
"""Arms whose time courses are drawn."""


@dataclass(frozen=True)
class Recorded:
    """One arm of one animal: what was recorded of every step, and what was done when."""

    run: Run
    animal: int
    arm: str
    frame: pd.DataFrame

    @classmethod
    def of(cls, tables: Tables, animal: int, arm: str) -> "Recorded":
        """Read an arm."""
        return cls(tables.run, animal, arm, tables(animal, arm))

    def intervals(self, table: str) -> pd.DataFrame:
        """Return phases or perturbations."""
        return self.run.intervals(self.animal, self.arm, table)

    @property
    def traces(self) -> list[str]:
        """Return the names of the traces that were recorded and are somewhere a number."""
        columns = {name: list(traces.series(self.frame, name).values()) for name in SHOWN}
        known = {
            name: [c for c in found if c in self.frame and self.frame[c].notna().any()]
            for name, found in columns.items()
        }
        return [name for name, found in known.items() if found]


def section(recorded: list[Recorded], left_out: list[str]) -> Section:
    """Return the section: whole run and close-up of every arm that was read."""
    if not recorded:
        nothing = "Not drawn: there is no trace of single steps in this recording."
        return Section("courses", "Time courses", [Words([nothing])])
    first = recorded[0]
    words = [
        f"Animal {first.animal}. Drag after choosing a tool above a figure, turn the wheel with "
        "Ctrl held, or use the buttons below it; point at a step to read its numbers."
    ]
    if left_out:
        names = listed([readable(arm) for arm in left_out])
        words.append(f"Left out to keep the page small: {names}; `neuro-aws plot RUN --arm` draws.")
    parts = [Part(readable(one.arm), _charts(one)) for one in recorded]
    return Section("courses", "Time courses", [Words(words)], parts)


def _charts(one: Recorded) -> list[Chart]:
    phases, perturbed = one.intervals("phases"), one.intervals("perturbations")
    whole, close = traces.spans(one.run, one.frame, phases, perturbed)
    charts = [_chart(one, phases, perturbed, whole, "the whole run")]
    if close != whole:
        charts.append(_chart(one, phases, perturbed, close, "step by step"))
    return charts


def _chart(
    one: Recorded,
    phases: pd.DataFrame,
    perturbed: pd.DataFrame,
    span: tuple[int, int],
    what: str,
) -> Chart:
    at = edges(*span)
    width = int(at[1] - at[0])
    frame = one.frame[(one.frame["step"] >= span[0]) & (one.frame["step"] < span[1])]
    spec = one.run.protocol.tree.plan(one.arm).spec
    seconds = backend_of(spec).seconds
    per_step = spec.spiking.step / 1000 if seconds else 1.0
    unit = "biological time (s)" if seconds else "step (one batch in one phase)"
    stretches = one.run.protocol.tree.plan(one.arm).schedule.stretches
    rows = [_row(frame, name, at) for name in one.traces if name != "gate"]
    levels = _levels(phases, perturbed, at)
    if "gate" in one.traces:
        levels.insert(0, gate(frame, at))
    model = over_time(
        at,
        levels,
        rows,
        {s.start: s.name for s in stretches if span[0] <= s.start < span[1]},
        unit,
        per_step,
        _phase_of_steps(frame, at) if width == 1 else (),
    )
    labels = list(dict.fromkeys(perturbed["label"]))
    return Chart(
        f"course-{one.arm}-{'whole' if span[0] == 0 else 'close'}",
        f"{readable(one.arm)}, animal {one.animal}: {what}",
        f"Steps {span[0]:,} to {span[1] - 1:,}. {_resolution(width)}"
        + (f" Perturbed: {'; '.join(labels)}." if labels else " Nothing was perturbed."),
        model,
        numbers(frame, one.traces, f"Mean (lowest to highest), {readable(one.arm)}, {what}"),
        _legend(rows),
        zoom=True,
    )


def _resolution(width: int) -> str:
    if width == 1:
        return "Every dash is the recorded value of one step."
    return (
        f"A dash is the mean of the recorded steps among {width}, of one phase or one layer; the "
        "pale bar behind it reaches from the lowest to the highest of them, so that no step is "
        "hidden. NaN: there is no such step among them."
    )


def _levels(phases: pd.DataFrame, perturbed: pd.DataFrame, at: NDArray[np.int64]) -> list[Level]:
    had = set(phases["label"])
    levels = [
        Level(PHASE_NAMES[p], PHASE_COLOURS[p], share(phases[phases["label"] == p], at))
        for p in LEVELS
        if p in had
    ]
    return [Level("perturbed", SHADE, share(perturbed, at)), *levels]


def gate(frame: pd.DataFrame, at: NDArray[np.int64]) -> Level:
    """Return how far the gate is open: its mean over the recorded steps of each stretch.

    A gate that opens further than 1 fills the line where it is at its widest.
    """
    found = thinned(at, frame["step"].to_numpy(), frame["gate"].to_numpy(float))
    most = max(1.0, float(np.nanmax(found.mean, initial=0.0)))
    return Level("gate" if most == 1 else f"gate / {most:.3g}", GATE, found.mean / most)


def share(intervals: pd.DataFrame, at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of every stretch of steps that some intervals cover, each step once."""
    total = int(at[-1])
    open_ = np.zeros(total + 1, int)
    np.add.at(open_, np.clip(intervals["start"].to_numpy(int), 0, total), 1)
    np.add.at(open_, np.clip(intervals["stop"].to_numpy(int), 0, total), -1)
    covered = np.cumsum(open_)[:total] > 0
    before = np.concatenate([[0], np.cumsum(covered)])
    return np.asarray((before[at[1:]] - before[at[:-1]]) / np.diff(at))


def _phase_of_steps(frame: pd.DataFrame, at: NDArray[np.int64]) -> list[str]:
    names = dict(zip(frame["step"], frame["phase"], strict=True))
    return [PHASE_NAMES.get(names.get(step, ""), "not recorded") for step in at[:-1].tolist()]


def _row(frame: pd.DataFrame, trace: str, at: NDArray[np.int64]) -> Row:
    """Return a trace: one without layers by phase, one with layers in the phases that change."""
    columns = traces.series(frame, trace)
    by_phase = "" in columns
    title = traces.TRACES[trace]
    if at[1] - at[0] == 1:
        strands = [
            _single(
                frame,
                column,
                at,
                label or trace,
                "" if by_phase else LAYER_COLOURS[k % len(LAYER_COLOURS)],
            )
            for k, (label, column) in enumerate(columns.items())
        ]
    elif by_phase:
        strands = [
            _thinned(frame[frame["phase"] == p], columns[""], at, PHASE_NAMES[p], PHASE_COLOURS[p])
            for p in map(str, Phase)
            if (frame["phase"] == p).any()
        ]
    else:
        changing = traces.changing(frame, columns.values())
        strands = [
            _thinned(changing, column, at, label, LAYER_COLOURS[k % len(LAYER_COLOURS)])
            for k, (label, column) in enumerate(columns.items())
        ]
    return Row(title, strands, from_zero=not by_phase)


def _thinned(
    frame: pd.DataFrame, column: str, at: NDArray[np.int64], label: str, colour: str
) -> Strand:
    found = thinned(at, frame["step"].to_numpy(), frame[column].to_numpy(float))
    return Strand(label, found.mean, found.low, found.high, colour)


def _single(
    frame: pd.DataFrame, column: str, at: NDArray[np.int64], label: str, colour: str
) -> Strand:
    found = thinned(at, frame["step"].to_numpy(), frame[column].to_numpy(float))
    if colour:
        return Strand(label, found.mean, colour=colour)
    names = dict(zip(frame["step"], frame["phase"], strict=True))
    colours = [PHASE_COLOURS.get(names.get(s, ""), "#FFFFFF") for s in at[:-1].tolist()]
    return Strand(label, found.mean, colours=colours)


def _legend(rows: list[Row]) -> list[tuple[str, str]]:
    phases = [(PHASE_NAMES[p], PHASE_COLOURS[p]) for p in map(str, Phase)]
    layers = {s.label: s.colour for row in rows for s in row.strands if s.label.startswith("layer")}
    return [*phases, *layers.items(), ("gate open", GATE), ("perturbed", SHADE)]


def numbers(frame: pd.DataFrame, shown: list[str], caption: str) -> Table:
    """Return mean, lowest and highest value of every trace, by period and phase."""
    columns = {
        f"{traces.TRACES[name].partition(' (')[0]}{f', {label}' if label else ''}": column
        for name in shown
        for label, column in traces.series(frame, name).items()
    }
    rows = [
        (
            f"{readable(str(period))}, {PHASE_NAMES.get(str(phase), 'unknown')}",
            f"{len(part):,}",
            *(_span(part[column]) for column in columns.values()),
        )
        for (period, phase), part in frame.groupby(["period", "phase"], sort=False)
    ]
    return Table(caption, ("period, phase", "steps", *columns), rows)


def _span(values: Any) -> str:
    known = values.dropna()
    if not len(known):
        return "-"
    return f"{known.mean():.4g} ({known.min():.4g} to {known.max():.4g})"
