"""The hypnogram: phases over time, and perturbations as shaded intervals."""

import textwrap

import pandas as pd
from matplotlib.patches import Patch

from neuro_aws.plots.style import PHASE_COLOURS, Axes

SHADE = "#D55E00"
NARROW = 52
"""Characters of a period's name that half a page takes."""


def hypnogram(axes: Axes, phases: pd.DataFrame, start: int, stop: int) -> Axes:
    """Draw the phases between two steps as coloured bars, with a legend of those that occur."""
    seen = phases[(phases["stop"] > start) & (phases["start"] < stop)]
    for phase, colour in PHASE_COLOURS.items():
        rows = seen[seen["label"] == phase]
        spans = [(a, b - a) for a, b in zip(rows["start"], rows["stop"], strict=True)]
        if spans:
            axes.broken_barh(spans, (0, 1), color=colour, linewidth=0)
    axes.set(xlim=(start, stop), ylim=(0, 1), yticks=[], ylabel="phase")
    names = [p for p in PHASE_COLOURS if p in set(seen["label"])]
    handles = [Patch(color=PHASE_COLOURS[p], label=p) for p in names]
    axes.legend(handles=handles, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    axes.spines["left"].set_visible(False)
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
