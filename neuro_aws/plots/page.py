"""A figure of several blocks, one below the other, each with a letter and a heading."""

from collections.abc import Sequence
from typing import Any

from neuro_aws.plots.style import WIDTH, Figure, figure

LETTERS = "abcdefgh"


class Page:
    """The figure, and the place of its next block."""

    def __init__(self, heights: Sequence[float]) -> None:
        self.drawn = figure(WIDTH, sum(heights) + 0.4)
        self._places = self.drawn.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
        self._next = 0

    def block(self, heading: str) -> Figure:
        """Return the next block."""
        place = self._places[self._next, 0]
        place.suptitle(f"{LETTERS[self._next]}   {heading}", x=0.01, ha="left", fontsize=7.5)
        self._next += 1
        return place  # type: ignore[no-any-return]


def beside(place: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put the legend of a block to the right of its heading."""
    place.legend(
        handles,
        labels,
        loc="upper right",
        ncols=max(1, len(labels)),
        handlelength=1.2,
        columnspacing=1.0,
        borderaxespad=0.1,
    )
