"""Panels of signals around events: mean and 95 % interval over animals, step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from neuro_aws.plots.events import (
    AROUND,
    BEFORE,
    SIZES,
    Event,
    Locked,
    Tables,
    around,
    course,
)
from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.page import beside
from neuro_aws.plots.style import PHASE_COLOURS, Axes, Figure

SIZE_COLOURS = {
    "teaching": "#009E73",
    "feedforward_raw": "#3B3B3B",
    "feedforward_applied": "#CC79A7",
}
ABOVE = 1.3
"""Times the largest mean: how high the panels of sizes go."""

REFERENCE = "#D2CBC3"
ACH = "ACh over REM\n(D)"


def draw_switches(place: Figure, found: Mapping[tuple[str, str], Locked]) -> None:
    """Draw ACh, and the sizes side by side, in every step around the switches of phase."""
    panels = place.subplots(2, max(1, len(found)), sharex=True, sharey="row", squeeze=False)
    third = 1 / len(SIZES)
    for (upper, lower), ((old, new), locked) in zip(panels.T, found.items(), strict=False):
        for phase, values in locked.ach.items():
            _dashes(upper, locked.lags, values, PHASE_COLOURS[phase])
        for k, signal in enumerate(SIZES):
            values = locked.sizes["", signal]
            _dashes(lower, locked.lags + k * third, values, SIZE_COLOURS[signal], third)
        upper.set_title(f"{PHASE_NAMES[old]} to {PHASE_NAMES[new]}")
        lower.set_xlabel("steps since the switch")
        for axes in (upper, lower):
            axes.axvline(0, color="#777777", lw=0.6, ls=":")
            axes.set(xlim=(-AROUND, AROUND), xticks=range(-AROUND, AROUND + 1))
        lower.set_ylim(bottom=0)
    panels[0, 0].set_ylabel(ACH)
    panels[1, 0].set_ylabel("size\n(mean = 1)")
    _legend(place, reference=False)


def draw_events(
    place: Figure, tables: Tables, shown: Sequence[Event], layers: Sequence[str]
) -> None:
    """Draw ACh by phase, and the sizes layer by layer, around what begins or ends in an arm."""
    rows = 1 + len(layers)
    panels = place.subplots(rows, len(shown), sharex=True, squeeze=False)
    last = 1
    for column, event in zip(panels.T, shown, strict=True):
        arms = dict.fromkeys([event.reference, event.arm])  # the arm itself goes on top
        for arm in arms:
            usual = arm == event.reference and len(arms) > 1
            locked = around(tables, event, arm)
            there = [np.isfinite(values).any(0) for values in locked.ach.values()]
            last = max(last, int(locked.lags[np.any(there, axis=0)].max(initial=1)))
            for phase, values in locked.ach.items():
                _band(column[0], locked.lags, values, REFERENCE if usual else PHASE_COLOURS[phase])
            for axes, layer in zip(column[1:], layers, strict=True):
                for signal, colour in SIZE_COLOURS.items():
                    values = locked.sizes[layer, signal]
                    _band(axes, locked.lags, values, REFERENCE if usual else colour)
        column[0].set_title(f"{event.kind}: {event.what}")
        column[-1].set_xlabel("steps since")
        for axes in column:
            axes.axvline(0, color="#777777", lw=0.6, ls=":")
    panels[0, 0].set_xlim(-BEFORE, last)
    for row in panels[1:]:
        highest = [np.nanmax(line.get_ydata(), initial=1) for a in row for line in a.lines]
        top = ABOVE * float(max(highest))
        for axes in row:
            axes.set_ylim(0, top)
            axes.tick_params(labelleft=axes is row[0])
    panels[0, 0].set_ylabel(ACH)
    for row, layer in zip(panels[1:], layers, strict=True):
        row[0].set_ylabel(f"{layer.replace('layer', 'layer ')}: size\n(before = 1)")
    _legend(place, reference=True)


def _legend(place: Figure, reference: bool) -> None:
    colours = {PHASE_NAMES[phase]: colour for phase, colour in PHASE_COLOURS.items()}
    colours |= {SIZES[signal]: colour for signal, colour in SIZE_COLOURS.items()}
    if reference:
        colours["reference arm"] = REFERENCE
    handles = [Line2D([], [], color=colour, lw=1.6) for colour in colours.values()]
    beside(place, handles, list(colours))


def _band(axes: Axes, lags: NDArray[Any], values: NDArray[Any], colour: str) -> None:
    """Draw the mean over animals with its interval, where there are values."""
    lags, found = course(lags, values)
    axes.plot(lags, [e.mean for e in found], color=colour, lw=0.9)
    low, high = [e.low for e in found], [e.high for e in found]
    axes.fill_between(lags, low, high, color=colour, alpha=0.25, linewidth=0)


def _dashes(
    axes: Axes, lags: NDArray[Any], values: NDArray[Any], colour: str, width: float = 1.0
) -> None:
    """Draw a dash for each step, mean over animals, with its interval as a bar."""
    lags, found = course(lags, values)
    gap = 0.08 * width
    axes.hlines([e.mean for e in found], lags + gap, lags + width - gap, colors=colour, lw=1.6)
    low, high = [e.low for e in found], [e.high for e in found]
    axes.vlines(lags + width / 2, low, high, colors=colour, lw=0.7)
