"""What begins and ends in the arms of a run, switches of phase, and signals around them.

Everything is step by step. D has no zero of its own, so ACh is counted from the animal's mean in
REM before the event. Sizes of teaching, raw and applied change are shares of their mean in the
steps in which F learns before the event, in the reference arm, which nothing happens to.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuro_aws.metrics.statistics import Estimate, estimate
from neuro_aws.phase import REM, Phase
from neuro_aws.plots.scatters import layers
from neuro_aws.plots.traces import table
from neuro_aws.recording.reader import Run

SIZES = {
    "teaching": "teaching",
    "feedforward_raw": "raw |dF|",
    "feedforward_applied": "applied |dF|",
}
"""The sizes that are followed: the end of their column, and their name."""

BEFORE, AFTER = 104, 624
"""Steps around the beginning or the end of something."""

AROUND = 3
"""Steps on each side of a switch of phase."""

WRITTEN = {"rem": "REM", "nrem": "NREM", "ach": "ACh"}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """Something that begins or ends in an arm at a step; ``reference`` is the arm beside it."""

    arm: str
    reference: str
    kind: str
    what: str
    step: int

    def __str__(self) -> str:
        return f"{self.kind} of {self.what}"


def events(run: Run) -> list[Event]:
    """Return what begins and ends in the arms of a run, in the order of the arms."""
    found = []
    for arm in run.arms:
        plan = run.protocol.tree.arms[arm]
        reference = plan.reference if plan.reference in run.arms else arm
        rows = run.intervals(run.animals[0], arm, "perturbations")
        for kind, column in (("onset", "start"), ("end", "stop")):
            for step in map(int, sorted(set(rows[column]))):
                if 0 < step < plan.schedule.steps:
                    labels = dict.fromkeys(rows.loc[rows[column] == step, "label"])
                    what = " + ".join(map(in_short, labels))
                    found.append(Event(arm, reference, kind, what, step))
    return found


def in_short(label: str) -> str:
    """Return a perturbation as a heading says it."""
    words = label.replace("targets=", "").replace("=", " ")
    return re.sub(r"\b(rem|nrem|ach)\b", lambda found: WRITTEN[found[0]], words)


def chosen(found: Sequence[Event], most: int) -> list[Event]:
    """Return the events to draw: the first of each kind, of one thing at a time, onsets first."""
    firsts: dict[tuple[str, str], Event] = {}
    for event in found:
        if " + " not in event.what:
            firsts.setdefault((event.kind, event.what), event)
    return sorted(firsts.values(), key=lambda event: event.kind != "onset")[:most]


class Tables:
    """The traces of every animal and arm of a run, each read once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._kept: dict[tuple[int, str], pd.DataFrame] = {}

    def __call__(self, animal: int, arm: str) -> pd.DataFrame:
        """Return all traces of an arm, by step."""
        if (animal, arm) not in self._kept:
            self._kept[animal, arm] = table(self.run, animal, arm).set_index("step", drop=False)
        return self._kept[animal, arm]

    def phases(self, animal: int, arm: str) -> NDArray[Any]:
        """Return the phase of every step, recorded or not."""
        rows = self.run.intervals(animal, arm, "phases")
        of_step = np.full(int(rows["stop"].max()), "", dtype="U8")
        for start, stop, label in rows.itertuples(index=False):
            of_step[start:stop] = label
        return of_step


def learning(frame: pd.DataFrame) -> list[str]:
    """Return the phases in which F changes."""
    columns = [f"{layer}_feedforward_raw" for layer in layers(frame)]
    changes = frame[columns].sum(axis=1).groupby(frame["phase"]).sum()
    return [str(phase) for phase, total in changes.items() if total]


@dataclass(frozen=True)
class Locked:
    """Signals of every animal around an event: (animals, lags), nan where there is none.

    ``ach`` is by phase; ``sizes`` by layer and signal, in steps in which F learns.
    """

    lags: NDArray[np.int64]
    ach: dict[str, Array]
    sizes: dict[tuple[str, str], Array]


def around(tables: Tables, event: Event, arm: str) -> Locked:
    """Return the signals of an arm around an event, in the arm itself or in its reference."""
    lags = np.arange(-BEFORE, AFTER)
    ach: dict[str, list[Any]] = {str(phase): [] for phase in Phase}
    sizes: dict[tuple[str, str], list[Any]] = {}
    for animal in tables.run.animals:
        usual, frame = (
            tables(animal, name).reindex(event.step + lags) for name in (event.reference, arm)
        )
        phases = learning(usual)
        before = usual[lags < 0]
        zero = before.loc[before["phase"] == REM, "ach"].mean()
        for phase, kept in ach.items():
            kept.append(frame["ach"].where(frame["phase"] == phase) - zero)
        for layer in layers(frame):
            for signal in SIZES:
                column = f"{layer}_{signal}"
                usually = before.loc[before["phase"].isin(phases), column].mean()
                size = frame[column].where(frame["phase"].isin(phases))
                sizes.setdefault((layer, signal), []).append(_over(size, usually))
    return Locked(
        lags,
        {phase: np.array(kept, dtype=float) for phase, kept in ach.items()},
        {key: np.array(kept, dtype=float) for key, kept in sizes.items()},
    )


def switches(tables: Tables, arm: str, start: int) -> dict[tuple[str, str], Locked]:
    """Return averages over all switches from one phase to another, from a step on.

    Of the switches those count at a lag that have the same phase there as most. Sizes are means
    over layers of shares of the layer's mean in the steps in which F learns.
    """
    lags = np.arange(-AROUND, AROUND)
    kept: dict[tuple[str, str], list[tuple[dict[str, Array], dict[str, Array]]]] = {}
    for animal in tables.run.animals:
        phase = tables.phases(animal, arm)[start:]
        frame = tables(animal, arm).reindex(np.arange(start, start + len(phase)))
        learns = np.isin(phase, learning(frame))
        ach = frame["ach"].to_numpy(float)
        ach = ach - np.nanmean(ach[phase == REM])
        sizes = {signal: _over_layers(frame, signal, learns) for signal in SIZES}
        at = np.flatnonzero(phase[1:] != phase[:-1]) + 1
        at = at[(at >= AROUND) & (at + AROUND <= len(phase))]
        pairs = list(zip(phase[at - 1], phase[at], strict=True))
        for pair in dict.fromkeys(pairs):
            here = at[[p == pair for p in pairs]][:, None] + lags
            most = [_most(column) for column in phase[here].T]
            usual = phase[here] == most
            by_phase = {
                str(name): np.where(
                    [m == name for m in most], _mean(np.where(usual, ach[here], np.nan)), np.nan
                )
                for name in Phase
            }
            locked = {k: _mean(np.where(usual, v[here], np.nan)) for k, v in sizes.items()}
            kept.setdefault((str(pair[0]), str(pair[1])), []).append((by_phase, locked))
    return {
        pair: Locked(
            lags,
            {str(name): np.array([ach[name] for ach, _ in rows]) for name in Phase},
            {("", signal): np.array([sizes[signal] for _, sizes in rows]) for signal in SIZES},
        )
        for pair, rows in kept.items()
    }


def _over(values: Any, usually: float) -> Any:
    return values / (usually if usually > 0 else np.nan)


def _over_layers(frame: pd.DataFrame, signal: str, learns: NDArray[np.bool_]) -> Array:
    shares = []
    for layer in layers(frame):
        values = frame[f"{layer}_{signal}"].to_numpy(float)
        usually = float(np.nanmean(values[learns])) if learns.any() else 0.0
        shares.append(_over(values, usually))
    return np.asarray(np.mean(shares, axis=0))


def _most(values: NDArray[Any]) -> str:
    names, counts = np.unique(values, return_counts=True)
    return str(names[counts.argmax()])


def _mean(values: Array, axis: int = 0) -> Array:
    """Return the mean of what is finite; nan where nothing is."""
    count = np.isfinite(values).sum(axis)
    mean = np.nansum(values, axis=axis) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, mean, np.nan))


def course(lags: NDArray[Any], values: Array) -> tuple[NDArray[Any], list[Estimate]]:
    """Return the lags at which any animal has a value, and mean and interval over animals there."""
    at = np.isfinite(values).any(0)
    return lags[at], [estimate(column) for column in values[:, at].T]


def change(locked: Locked, start: int, stop: int) -> tuple[dict[str, Array], dict[Any, Array]]:
    """Return what some steps after an event bring, a value an animal.

    ACh by phase minus its mean before; sizes by layer and signal, as the shares that they are.
    """
    before, after = locked.lags < 0, (locked.lags >= start) & (locked.lags < stop)
    ach = {
        phase: _mean(values[:, after], 1) - _mean(values[:, before], 1)
        for phase, values in locked.ach.items()
    }
    return ach, {key: _mean(values[:, after], 1) for key, values in locked.sizes.items()}
