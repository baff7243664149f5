"""The prediction matrix as a figure, and the power of experiments that separate two theories."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
import pandas as pd
from matplotlib.patches import Rectangle

from neuro_aws.phase import Phase
from neuro_aws.plots.style import (
    ARM_COLOURS,
    WIDTH,
    Axes,
    Figure,
    figure,
    readable,
    save,
    styled,
    value_label,
)
from neuro_aws.protocol.matrix import MatrixSpec

LETTERS = {Phase.WAKE: "W", Phase.NREM: "N", Phase.REM: "R"}
COLOURS = "RdBu_r"
"""Red up, blue down: told apart by all kinds of colour vision, and light where nothing is."""

DEEPEST = 0.85
"""Share of the colour scale that is used: the darkest ends would swallow the numbers."""

NONE, BLANK = "#ECECEC", "#FFFFFF"
SMALL = 5.2
DARK = 0.179
"""Luminance below which white words are read better than black ones."""

LEVEL = 0.05
MARKS = {
    "yes": "A",
    "in part": "a",
    "yes, before correction": "(A)",
    "in part, before correction": "(a)",
}
HOW_MUCH = ("least", "middle", "most")
SHOWN = 6
"""Manipulations of which the power is drawn."""


@dataclass(frozen=True)
class Picture:
    """What the figure of a matrix shows: rows (block, manipulation), columns (theory)."""

    rows: list[tuple[str, str, str]]
    """Block, manipulation, and its words."""
    theories: list[str]
    marked: list[str]
    """Theories that did not learn."""
    table: pd.DataFrame
    animals: int

    @classmethod
    def of(cls, spec: MatrixSpec, table: pd.DataFrame, animals: int) -> "Picture":
        """Return the picture of a matrix and its table."""
        rows = [
            (block, name, one.description or readable(name))
            for block, section in spec.blocks.items()
            for name, one in section.manipulations.items()
        ]
        marked = [t for t in spec.theories if (table[table["theory"] == t]["learnt"] == "no").any()]
        return cls(rows, list(spec.theories), marked, table, animals)


def save_matrix(picture: Picture, path: Path) -> Path:
    """Draw the matrix and write it."""
    with styled():
        return save(draw_matrix(picture), path)


def draw_matrix(picture: Picture) -> Figure:
    """Draw the matrix: effects with half their intervals, coloured by direction and size."""
    blocks = list(dict.fromkeys(block for block, _, _ in picture.rows))
    counts = [sum(row[0] == block for row in picture.rows) for block in blocks]
    drawn = figure(WIDTH, 1.75 + 0.285 * len(picture.rows) + 0.2 * len(blocks))
    grid = drawn.subplots(len(blocks), 1, squeeze=False, height_ratios=counts)[:, 0]
    for axes, block in zip(grid, blocks, strict=True):
        _block(axes, picture, block, heads=block == blocks[0])
    animals = f"{picture.animals} animals" if picture.animals > 1 else "one animal, no interval"
    words = (
        f"Arm minus its reference, paired ({animals}; ± half the 95 % interval). * p < {LEVEL:g}, "
        "corrected (Holm, the whole matrix). W N R: feedforward weights changed in wake, NREM, "
        "REM (recorded); in brackets: only feedback did. A: taking ACh away takes the effect away; "
        "a: part of it; (A) (a): before correction only. 0 def.: 0 by definition; = def.: as "
        "without what is done beside, by definition; n/a: not applicable. † has not learnt by its "
        "own criterion, not compared. Colour: effect over the largest of the same measure, red up, "
        "blue down, none where the interval holds 0."
    )
    drawn.supxlabel(fill(words, 185), fontsize=SMALL, x=0.01, ha="left")
    return drawn


def _block(axes: Axes, picture: Picture, block: str, *, heads: bool) -> None:
    rows = [row for row in picture.rows if row[0] == block]
    table = picture.table[picture.table["block"] == block]
    cells = {(r.manipulation, r.theory): r for r in table.itertuples()}
    for y, (_, name, _) in enumerate(rows):
        for x, theory in enumerate(picture.theories):
            _cell(axes, x, y, cells[name, theory], table)
    axes.set(
        xlim=(-0.5, len(picture.theories) - 0.5),
        ylim=(len(rows) - 0.5, -0.5),
        xticks=range(len(picture.theories)) if heads else [],
        yticks=range(len(rows)),
    )
    axes.set_yticklabels([fill(words, 34) for _, _, words in rows], fontsize=6)
    if heads:
        names = [readable(t) + (" †" if t in picture.marked else "") for t in picture.theories]
        axes.set_xticklabels([fill(n, 12) for n in names], fontsize=6)
        axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(readable(block), loc="left", fontweight="bold")


def _cell(axes: Axes, x: int, y: int, row: object, table: pd.DataFrame) -> None:
    shown = look(row, table)
    place = (x - 0.5, y - 0.5)
    axes.add_patch(Rectangle(place, 1, 1, facecolor=shown.face, edgecolor="white", lw=1))
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "linespacing": 1.15}
    axes.text(x, y, shown.text, color=shown.ink, **style)


class Look(NamedTuple):
    """How a cell is shown: its words, its colour, and that of the words on it."""

    text: str
    face: str
    ink: str


def look(row: object, table: pd.DataFrame) -> Look:
    """Return how a row of a matrix' table is shown; ``table`` holds what it is measured against.

    Colour: the effect over the largest of the same measure, none where the interval holds 0.
    """
    status, effect = str(row.status), float(row.effect)  # type: ignore[attr-defined]
    same = table[table["value"] == row.value]["effect"].abs()  # type: ignore[attr-defined]
    scale = float(same.max()) if same.max() > 0 else 1.0
    text, face = {"not applicable": "n/a", "not run": "not\nrun"}.get(status, ""), NONE
    if status == "by definition":
        text, face = "0 def.", BLANK
    elif not text:
        some = row.direction in ("up", "down")  # type: ignore[attr-defined]
        place = 0.5 + 0.5 * DEEPEST * effect / scale * some
        face = matplotlib.colors.to_hex(matplotlib.colormaps[COLOURS](place))
        size = abs(effect)
        text = _said(row, 2 if size >= 0.1 else 3 if size >= 0.01 else 4)
    return Look(text, face, "#FFFFFF" if _luminance(face) < DARK else "#000000")


def _luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2)."""
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
        for c in matplotlib.colors.to_rgb(colour)
    )
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def _said(row: object, digits: int) -> str:
    effect, low, high = (float(getattr(row, key)) for key in ("effect", "low", "high"))
    star = "*" if float(row.p_corrected) < LEVEL else ""  # type: ignore[attr-defined]
    mark = MARKS.get(str(row.ach_mediates), "")  # type: ignore[attr-defined]
    number = f"{effect:+.{digits}f}" if effect else "0"
    first = f"{number}{star}{' ' + mark if mark else ''}".replace("-", "\u2212")
    if str(row.status) == "as without, by definition":  # type: ignore[attr-defined]
        return f"{first}\n= def."
    width = "" if pd.isna(low) or low == high else f"±{(high - low) / 2:.{digits}f} "
    return f"{first}\n{width}{_phases(row)}"


def _phases(row: object) -> str:
    """Return letters of the phases in which F changed; in brackets those of G if F never did."""
    for kind, shape in (("feedforward", "{}"), ("feedback", "({})")):
        named = str(getattr(row, f"{kind}_changed_in")).split()
        if named:
            return shape.format("".join(LETTERS[Phase(name)] for name in named))
    return ""


def save_power(spec: MatrixSpec, powers: pd.DataFrame, path: Path) -> Path:
    """Draw the power of the experiments that separate two theories, and write it."""
    with styled():
        return save(draw_power(spec, powers), path)


def draw_power(spec: MatrixSpec, powers: pd.DataFrame) -> Figure:
    """Draw power against animals, a panel a measure and a line a manipulation and noise."""
    ranks = powers.sort_values("rank")["manipulation"].drop_duplicates().head(SHOWN).tolist()
    drawn = figure(WIDTH, 2.6)
    grid = drawn.subplots(1, 3, sharey=True)
    words = {
        name: one.description or readable(name)
        for section in spec.blocks.values()
        for name, one in section.manipulations.items()
    }
    for level, axes in enumerate(grid):
        for i, name in enumerate(ranks):
            mine = powers[powers["manipulation"] == name]
            noise = sorted(mine["noise"].unique())[level]
            line = mine[mine["noise"] == noise].sort_values("animals")
            x, y, label = line["animals"], line["power"], fill(words[name], 40)
            axes.plot(x, y, "o-", color=ARM_COLOURS[i], ms=2, label=label)
        axes.axhline(0.8, color="#888888", lw=0.6, ls=":")
        axes.set(xlabel="animals", ylim=(-0.02, 1.02), xticks=range(4, 21, 4))
        axes.set_title(f"{'abc'[level]}  {HOW_MUCH[level]} measurement noise", loc="left")
    grid[0].set_ylabel("power, two-sided, 0.05")
    drawn.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    first, second = powers[["first", "second"]].iloc[0]
    noises = "; ".join(
        f"{value_label(value)}: {', '.join(f'{n:g}' for n in spec.noise[value].levels)}"
        for value in powers["value"].drop_duplicates()
    ).replace("\n", " ")
    pair = f"{readable(first)} against {readable(second)}"
    title = f"{pair}; standard deviation between animals: {noises}"
    drawn.suptitle(fill(title, 110))
    return drawn
