"""Tables of results, 100 columns wide at most."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from textwrap import wrap
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from neuro_aws.experiment.results import Verdict
from neuro_aws.metrics.initial import INITIALLY, only_gained
from neuro_aws.metrics.statistics import VALUE_KEYS, Estimate, caption
from neuro_aws.protocol import registry
from neuro_aws.protocol.measures import VALUES

WIDTH = 100
LABEL = 34
"""Columns for a value's name, unit and layer where arms are columns."""

ARM = 16
"""Columns for an arm's name where arms are rows of two lines."""

GAP = 2
"""Columns between columns."""

Key = tuple[str, int, str]


def console() -> Console:
    """Return the console; 100 columns where output goes to a file or a wider terminal."""
    found = Console()
    return found if found.is_terminal and found.width <= WIDTH else Console(width=WIDTH)


def words(name: str) -> str:
    """Return a name from a protocol as words, which a table may break between."""
    return name.replace("_", " ")


@dataclass(frozen=True)
class Grid:
    """The cells of a table of results: an arm's value and, with Δ, its paired difference.

    Where random weights give much of a value: also the initial value, and what was gained.
    """

    arms: list[str]
    keys: list[Key]
    cells: dict[tuple[str, Key], str]

    def cell(self, arm: str, key: Key) -> str:
        """Return the text of a cell."""
        return self.cells.get((arm, key), "-")

    def width(self, arms: Iterable[str], keys: Iterable[Key]) -> int:
        """Return the width of the widest line in some cells."""
        keys = list(keys)
        return max(_width(self.cell(a, k).split("\n")) for a in arms for k in keys)


def results(
    table: pd.DataFrame,
    arms: Sequence[str],
    animals: int,
    differences: pd.DataFrame | None = None,
    gains: pd.DataFrame | None = None,
) -> Group:
    """Return the main values at the end of every arm, with paired differences to its reference.

    ``gains`` are those since initialisation. Arms are columns where they fit beside each other,
    rows where they do not.
    """
    shown = table[table["arm"].isin(arms)]
    if shown.empty:
        return Group(Text("nothing was measured at the end of an arm"))
    cells = {(str(r.arm), _key(r)): str(_estimate(r)) for r in shown.itertuples()}
    between = "\n" if animals > 1 else "  "
    against = set() if differences is None else set(differences["reference"])
    for row in differences.itertuples() if differences is not None else ():
        cells[str(row.arm), _key(row)] += f"{between}Δ {_estimate(row)}"
    since = [] if gains is None else list(only_gained(gains).itertuples())
    for row in since:
        first = Estimate(getattr(row, INITIALLY), nan, nan, 1)
        joint = "\n" if animals > 1 else ", "
        cells[str(row.arm), _key(row)] += f"\ninitially {first}{joint}gain {_estimate(row)}"
    every = [_key(r) for r in shown[VALUE_KEYS].drop_duplicates().itertuples()]
    keys = [k for k in every if registry.value(k[0]).main] or every
    grid = Grid(list(arms), sorted(keys, key=lambda k: _place(every, k)), cells)
    head = caption((k[0] for k in keys), animals, differences=bool(against) and animals > 1)
    if against:
        reference = words(against.pop()) if len(against) == 1 else "its reference"
        head += f"; Δ: paired difference, arm minus {reference}"
    if since:
        head += "; gain: paired difference, the end minus initially, before anything was learnt"
    left = len(every) - len(keys)
    rest = f"{left} more values and earlier moments" if left else "earlier moments"
    parts: list[RenderableType] = [Text(f"end of each arm: {head}", style="italic")]
    for drawn in _arms_as_columns(grid) or _arms_as_rows(grid):
        parts += ["", drawn]
    return Group(*parts, "", Text(f"{rest}: metrics.csv", style="dim"))


def _place(every: list[Key], key: Key) -> tuple[int, int]:
    """Return where a value stands: measures in the order of measuring, each in one piece."""
    measures = [_measure_of(k[0]) for k in every]
    return measures.index(_measure_of(key[0])), every.index(key)


def _measure_of(value: str) -> str:
    return VALUES[value].name if value in VALUES else value


def _key(row: object) -> Key:
    return row.name, row.layer, row.group  # type: ignore[attr-defined]


def _estimate(row: object, suffix: str = "") -> Estimate:
    return Estimate(*(getattr(row, field + suffix) for field in Estimate._fields))


def _width(texts: Iterable[str]) -> int:
    return max((len(t) for t in texts), default=0)


def _where(key: Key) -> str:
    _, layer, group = key
    return ", ".join(filter(None, [f"layer {layer}" if layer >= 0 else "", group]))


def _label(key: Key) -> str:
    unit = registry.value(key[0]).unit
    return words(key[0]) + (f" ({unit})" if unit else "")


def _one_line(key: Key) -> str:
    return ", ".join(filter(None, [_label(key), _where(key)]))


def _table(title: str | None = None) -> Table:
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, GAP - 1, 0, 0),
        show_edge=False,
    )


def _arms_as_columns(grid: Grid) -> list[Table] | None:
    """Return one table with a column for each arm; None where they do not fit."""
    widths = [max(grid.width([a], grid.keys), _width(words(a).split())) for a in grid.arms]
    if LABEL + sum(w + GAP for w in widths) + GAP > WIDTH:
        return None
    drawn = _table()
    drawn.add_column("value", max_width=WIDTH - sum(w + GAP for w in widths) - GAP)
    for arm, width in zip(grid.arms, widths, strict=True):
        drawn.add_column(words(arm), min_width=width)
    for key in grid.keys:
        label = "\n".join(filter(None, [_label(key), _where(key)]))
        drawn.add_row(label, *(grid.cell(arm, key) for arm in grid.arms))
    return [drawn]


def _arms_as_rows(grid: Grid) -> list[Table]:
    """Return tables with a row for each arm and as many values beside each other as fit."""
    lines = max(text.count("\n") for text in grid.cells.values())
    first = _width(words(a) for a in grid.arms)
    first = max(ARM, _width(w for a in grid.arms for w in words(a).split())) if lines else first
    tables, rest = [], list(grid.keys)
    while rest:
        drawn, used = _table(), first + GAP
        drawn.add_column("arm", width=first)
        taken: list[Key] = []
        while rest:
            heading = [_label(rest[0]), _where(rest[0])]
            width = max(grid.width(grid.arms, rest[:1]), *map(_two_lines, heading))
            if taken and used + width + GAP > WIDTH:
                break
            used += width + GAP
            taken.append(rest.pop(0))
            drawn.add_column("\n".join(filter(None, heading)), width=width)
        for arm in grid.arms:
            drawn.add_row(words(arm), *(grid.cell(arm, key) for key in taken))
        tables.append(drawn)
    return tables


def _two_lines(text: str) -> int:
    """Return the least width at which a text takes two lines at most."""
    widths = range(_width(text.split()), len(text))
    return next((w for w in widths if len(wrap(text, w)) <= 2), len(text))


def comparison(table: pd.DataFrame) -> Group:
    """Return the main values of two runs side by side, and the second minus the first."""
    shown = table[[registry.value(name).main for name in table["name"]]]
    shown = shown if len(shown) else table
    rows = {row.Index: _compared(row) for row in shown.itertuples()}
    headings = ("", "first run", "second run", "second minus first")
    widths = [_width([h, *(cells[i] for cells in rows.values())]) for i, h in enumerate(headings)]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - len(headings) * GAP)
    parts: list[RenderableType] = [Text(_compared_caption(table), style="italic"), ""]
    for _, group in shown.groupby(VALUE_KEYS, sort=False):
        drawn = _table()
        key = next(_key(row) for row in group.itertuples())
        for heading, width in zip(headings, widths, strict=True):
            drawn.add_column(heading, width=width)
        drawn.show_header = len(parts) == 2
        for index in group.index:
            drawn.add_row(*rows[index])
        parts += [Text(_one_line(key), style="bold"), drawn]
    return Group(*parts)


def _compared(row: Any) -> list[str]:
    arm = f"{row.arm} - {row.reference}" if row.reference else row.arm
    return ["  " + words(arm), *(str(_estimate(row, suffix)) for suffix in ("_1", "_2", ""))]


def _compared_caption(table: pd.DataFrame) -> str:
    one, two, both = (int(table[column].max()) for column in ("n_1", "n_2", "n"))
    names = table["name"].unique()
    who = f"{one} and {two} animals, {both} of them in both runs"
    return "last values: " + caption(names, max(one, two), who=who, differences=both > 1)


def expectations(verdicts: Sequence[Verdict]) -> Table:
    """Return what the protocol expected, what was found, and what there was initially."""
    drawn = _table("expected numbers, and the mean over animals that was found")
    initially = any(v.initially.n for v in verdicts)
    headings = ["arm", "value", "when", "expected", "found", "", "initially"]
    for heading in headings[: len(headings) - (not initially)]:
        drawn.add_column(heading, no_wrap=heading in ("expected", "found", "", "initially"))
    for v in verdicts:
        e = v.expectation
        when = f"end of {e.period}" if e.cycle is None else f"{e.period}, cycle {e.cycle}"
        against = f" minus {e.relative_to}" if e.relative_to else ""
        where = f" (layer {e.layer})" if e.layer is not None else ""
        gain = "gain in " if e.since else ""
        verdict = v.mark.upper() if v.met is False else v.mark
        drawn.add_row(
            words(e.arm + against),
            gain + words(e.value + where),
            words(when),
            f"{e.between[0]:g} to {e.between[1]:g}",
            str(v.found),
            verdict,
            *([_initially(v)] if initially else []),
        )
    drawn.caption = next((v.why for v in verdicts if ":" in v.why), None)
    return drawn


def _initially(verdict: Verdict) -> str:
    """Return the initial mean, and whether a network that has learnt nothing meets it too."""
    if not verdict.initially.n:
        return "-"
    mean = str(Estimate(verdict.initially.mean, nan, nan, 1))
    return mean + (", met" if verdict.met_initially else "")
