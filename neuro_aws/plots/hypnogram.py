"""The hypnogram: phases over time, the gate when it is open, perturbations as shaded intervals."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuro_aws.phase import NREM, REM, WAKE
from neuro_aws.plots.style import PHASE_COLOURS, Axes

SHADE = "#D55E00"
GATE = "#009E73"
NARROW = 52
"""Characters of a period's name that half a page takes."""

LEVELS = (NREM, REM, WAKE)
"""Phases from the bottom to the top, as in sleep research."""

PHASE_NAMES: dict[str, str] = {WAKE: "wake", REM: "REM", NREM: "NREM"}

CLOSE_UP = 78
"""Steps in a close-up, if all phases occur in so many."""

LONGEST = 4 * CLOSE_UP


def hypnogram(axes: Axes, phases: pd.DataFrame, start: int, stop: int) -> Axes:
    """Draw the phases between two steps as bars, a row for each phase that the run has at all."""
    had = set(phases["label"])
    rows = [phase for phase in LEVELS if phase in had]
    seen = phases[(phases["stop"] > start) & (phases["start"] < stop)]
    for level, phase in enumerate(rows):
        mine = seen[seen["label"] == phase]
        spans = [(a, b - a) for a, b in zip(mine["start"], mine["stop"], strict=True)]
        if spans:
            axes.broken_barh(spans, (level, 1), color=PHASE_COLOURS[phase], linewidth=0)
    axes.set(xlim=(start, stop), ylim=(0, max(1, len(rows))))
    axes.set_yticks([k + 0.5 for k in range(len(rows))], [PHASE_NAMES[p] for p in rows])
    axes.tick_params(axis="y", length=0, labelsize=6)
    axes.spines["left"].set_visible(False)
    return axes


def close_up(phases: pd.DataFrame, event: int, first: int, last: int) -> tuple[int, int]:
    """Return the steps of a close-up of an event in which every phase of the run occurs.

    It is as short as that allows, CLOSE_UP steps at least, a quarter of them before the event.
    Where all phases do not occur within LONGEST steps of the event it is where they do, as near
    as possible; where they never do, at the event.
    """
    steps = np.arange(first, last)
    total = last - first
    counts = []
    for phase in set(phases["label"]):
        mine = phases[phases["label"] == phase]
        edges = np.zeros(total + 1, int)
        np.add.at(edges, np.clip(mine["start"] - first, 0, total), 1)
        np.add.at(edges, np.clip(mine["stop"] - first, 0, total), -1)
        counts.append(np.concatenate([[0], np.cumsum(np.cumsum(edges[:-1]))]))
    for holds_event in (True, False):
        for length in (CLOSE_UP, 2 * CLOSE_UP, LONGEST):
            length = min(length, total)
            starts = steps[: total - length + 1]
            here = starts - first
            fits = np.all([of[here + length] > of[here] for of in counts], axis=0)
            if holds_event:
                fits &= (starts <= event) & (event < starts + length)
            if np.any(fits):
                wanted = event - length // 4
                start = int(starts[fits][np.abs(starts[fits] - wanted).argmin()])
                return start, start + length
    start = max(first, min(event - CLOSE_UP // 4, last - CLOSE_UP))
    return start, min(last, start + CLOSE_UP)


def gate_bar(axes: Axes, steps: NDArray[Any], gate: NDArray[Any], gap: float = 1.0) -> Axes:
    """Draw when the gate of feedforward plasticity is open; how high the bar is says how far.

    What was recorded of a step goes on up to the next one, unless that is more than ``gap`` away.
    A gate that is only ever 0 or 1 needs no scale; another has its largest value beside the bar.
    """
    open_ = np.asarray(gate, dtype=float)
    most = float(np.nanmax(open_, initial=0.0))
    ends = np.flatnonzero(np.diff(steps) > gap)
    edges = np.insert(np.append(steps, steps[-1] + 1), ends + 1, steps[ends] + 1)
    heights = np.insert(np.nan_to_num(open_), ends + 1, 0.0)
    axes.stairs(heights, edges, fill=True, color=GATE, linewidth=0)
    axes.set(ylim=(0, max(1.0, most)))
    whole = bool(np.isin(open_[np.isfinite(open_)], (0.0, 1.0)).all())
    axes.set_yticks([0.5 * max(1.0, most)], ["gate" if whole else f"gate\nto {most:.3g}"])
    axes.tick_params(axis="y", length=0, labelsize=6)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    return axes


def period_bar(axes: Axes, periods: list[tuple[str, int, int]], start: int, stop: int) -> Axes:
    """Draw the periods of a run as labelled boxes: what a hypnogram is at this scale."""
    for i, (name, first, last) in enumerate(periods):
        axes.axvspan(first, last, color="#E8E8E8" if i % 2 == 0 else "#D3D3D3", linewidth=0)
        shown = min(last, stop) - max(first, start)
        words = name.replace("_", " ")
        room = NARROW * shown / (stop - start)  # characters in a row
        if len(words) > room:
            words = "\n".join(textwrap.wrap(words, max(1, int(room)), break_long_words=False))
        fits = max(map(len, words.split("\n"))) <= room
        axes.text(
            max(first, start) + shown / 2,
            0.5,
            words if fits else words[: max(1, int(room) - 1)].split("\n")[0] + ".",
            ha="center",
            va="center",
            fontsize=7 if "\n" not in words else 5.5,
            linespacing=0.9,
        )
    axes.set(xlim=(start, stop), ylim=(0, 1), yticks=[], ylabel="period")
    axes.spines["left"].set_visible(False)
    return axes


def shade(axes: Axes, perturbations: pd.DataFrame) -> Axes:
    """Shade the intervals in which something was perturbed."""
    for start, stop in zip(perturbations["start"], perturbations["stop"], strict=True):
        axes.axvspan(start, stop, color=SHADE, alpha=0.10, linewidth=0)
    return axes
