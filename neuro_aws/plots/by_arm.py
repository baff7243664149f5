"""Correlations of every animal, arm by arm and layer by layer, over their nulls."""

from collections.abc import Sequence

import pandas as pd

from neuro_aws.plots.page import beside
from neuro_aws.plots.style import ARM_COLOURS, Axes, Figure, readable

NULL = "#C8C8C8"


def points(axes: Axes, groups: Sequence[tuple[str, pd.DataFrame]]) -> None:
    """Draw r of every animal by layer over the null, a line a group.

    A group has the columns layer, r, null_low and null_high; the null is the mean of the animals'.
    """
    count = max(group["layer"].nunique() for _, group in groups)
    for i, (_, group) in enumerate(groups):
        for k, (layer, part) in enumerate(group.groupby("layer")):
            y = i + 0.7 * (k + 0.5) / count - 0.35
            null = [part["null_low"].mean(), part["null_high"].mean()]
            wide = min(3, 8 / count)
            axes.plot(null, [y, y], color=NULL, lw=wide, solid_capstyle="butt", zorder=0)
            colour = ARM_COLOURS[k % len(ARM_COLOURS)]
            axes.plot(part["r"], [y] * len(part), ".", ms=3.5, color=colour, label=str(layer))
        if group["r"].isna().all():
            axes.text(0, i, "does not vary", ha="center", va="center", fontsize=5.5, color="0.5")
    axes.axvline(0, color="#BBBBBB", lw=0.6, zorder=0)
    axes.set_yticks(range(len(groups)), [readable(name) for name, _ in groups], fontsize=6)
    axes.set_ylim(len(groups) - 0.5, -0.5)


def layer_legend(place: Figure, axes: Axes) -> None:
    """Put the legend of the layers beside the heading of a block."""
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    beside(place, list(found.values()), list(found))
