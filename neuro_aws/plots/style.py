"""One look for all figures: colours that colour-blind readers can distinguish, plain axes."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuro_aws.errors import NeuroAWSError, clipped
from neuro_aws.protocol import registry

PHASE_COLOURS = {"wake": "#F0C75E", "nrem": "#9AA5B1", "rem": "#5B7DB1"}
ARM_COLOURS = (
    "#3B3B3B",
    "#D55E00",
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#8C564B",
    "#7F7F7F",
    "#BCBD22",
)
LINES = ("-", "-", "-", "--", "-", "-", "-", "-", "-", "-")

WIDTH = 7.2
"""Inches: two columns of a journal."""

SETTINGS: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "figure.titlesize": 8,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 130,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
"""Type 42 embeds TrueType fonts in PDF and PS; journals refuse Type 3, which is the default."""


def arm_styles(arms: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a line style for each arm, the same in every panel."""
    n = len(ARM_COLOURS)
    return {arm: (ARM_COLOURS[i % n], LINES[i % n] if i < n else ":") for i, arm in enumerate(arms)}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the house style; settings of the user's own session are left as they are."""
    with matplotlib.rc_context(SETTINGS):
        yield


def figure(width: float, height: float) -> Figure:
    """Return an empty figure, inches; it belongs to no window and to no global list."""
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: Figure, path: Path) -> Path:
    """Write a figure: PNG at 300 dpi, PDF with fonts that can be edited."""
    known = drawn.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in known:
        raise NeuroAWSError(
            f"figures are not written as {clipped(path.suffix) or 'a file without a suffix'}",
            where=clipped(str(path), 200),
            next_step="Use .png, .pdf or .svg",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        if path.suffix == ".png":
            # Files a little larger than the smallest, in less time.
            drawn.savefig(path, pil_kwargs={"compress_level": 3})
        else:
            drawn.savefig(path)
    return path


def as_png(drawn: Figure, dots: int = 130) -> bytes:
    """Return a figure as the bytes of a PNG file, ``dots`` an inch."""
    file = io.BytesIO()
    with styled():
        drawn.savefig(file, format="png", dpi=dots)
    return file.getvalue()


def readable(name: str) -> str:
    """Return a name from a protocol as words."""
    return name.replace("_", " ")


def value_label(name: str) -> str:
    """Return what an axis says of a value: its name and its unit."""
    unit = registry.value(name).unit
    words = readable(name).replace("spared", "non-target").replace("ach ", "ACh ")
    return words + (f"\n({unit})" if unit else "")


__all__ = ["Axes", "Figure", "arm_styles", "figure", "readable", "save", "styled", "value_label"]
