"""What a matrix came to, read from its folder: its tables, and the runs behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from neuro_aws.experiment.matrix.expand import RunPlan, expand
from neuro_aws.experiment.matrix.results import compared, write
from neuro_aws.experiment.matrix.run import Consent, Study, as_it_is, take_up
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.plots.style import readable
from neuro_aws.protocol.matrix import Manipulation, MatrixSpec
from neuro_aws.recording import provenance
from neuro_aws.recording.folder import refuse_what_leads_out

INTERVAL = ("low", "high")
TABLES = {
    "matrix": (
        *("block", "theory", "manipulation", "value", "unit", "status", "why", "learnt"),
        *("effect", *INTERVAL, "animals", "direction", "p_corrected"),
        *("interaction", "interaction_low", "interaction_high", "interaction_p_corrected"),
        *("ach_mediates", "feedforward_changed_in", "feedback_changed_in"),
    ),
    "effects": ("block", "theory", "manipulation", "animal", "effect"),
    "criteria": ("block", "theory", "part", "wanted", "initially", "mean", *INTERVAL, "n", "met"),
    "power": (
        *("first", "second", "rank", "block", "manipulation", "noise", "animals", "power"),
        *("difference", "spread_first", "spread_second"),
    ),
    "separating": ("block", "manipulation", "separated", "asked"),
}
"""Tables by name, with columns that they must have."""

NUMBERS = {
    *("effect", *INTERVAL, "animals", "p_corrected", "mean", "initially", "n"),
    *("interaction", "interaction_low", "interaction_high", "interaction_p_corrected"),
    *("rank", "noise", "power", "difference", "spread_first", "spread_second"),
    *("separated", "asked"),
}
"""Columns of numbers, in which an empty cell is one that is not there."""

NOT_RUN = "not run"
Place = tuple[str, str]
"""A block and one of its manipulations."""


@dataclass(frozen=True)
class Reported:
    """All that a report of a matrix is made from."""

    study: Study
    plans: list[RunPlan]
    tables: Mapping[str, pd.DataFrame]
    runs: Mapping[str, dict[str, Any]]
    """Provenance of the runs that have begun, by name."""

    @property
    def spec(self) -> MatrixSpec:
        """The file of the matrix."""
        return self.study.matrix.spec

    @property
    def cells(self) -> pd.DataFrame:
        """Return the table of cells, a row a cell."""
        return self.tables["matrix"]

    def section(self, place: Place) -> Manipulation:
        """Return what a manipulation is."""
        return self.spec.blocks[place[0]].manipulations[place[1]]

    def words(self, place: Place) -> str:
        """Return what a manipulation is called."""
        return self.section(place).description or readable(place[1])

    def rows(self, place: Place) -> list[Any]:
        """Return the cells of a manipulation, in the order of theories."""
        of_block = self.cells[self.cells["block"] == place[0]]
        return rows_of(of_block[of_block["manipulation"] == place[1]])

    def cell(self, place: Place, theory: str) -> Any:
        """Return a cell; its columns are attributes."""
        return next(row for row in self.rows(place) if row.theory == theory)

    @property
    def places(self) -> list[Place]:
        """Return every manipulation, block by block."""
        return [
            (block, name)
            for block, section in self.spec.blocks.items()
            for name in section.manipulations
        ]

    @property
    def unfinished(self) -> list[RunPlan]:
        """Return the runs that have not come to their end."""
        return [p for p in self.plans if not finished(self.runs.get(p.name))]


def read(folder: str | Path, consent: Consent = as_it_is) -> Reported:
    """Read the folder of a matrix; where its tables do not tell of all its runs, they are made."""
    study = take_up(folder, consent)
    refuse_what_leads_out(study.folder)
    plans = expand(study.matrix)
    runs = {p.name: data for p in plans if (data := _provenance(study, p)) is not None}
    tables = _tables(study.folder)
    if tables is None or not _whole(study.matrix.spec, tables["matrix"], plans, runs):
        write(study, plans, compared(study.matrix, None))
        tables = _tables(study.folder)
        assert tables is not None
    return Reported(study, plans, tables, runs)


def finished(data: Mapping[str, Any] | None) -> bool:
    """Say whether a run has come to its end, by its provenance."""
    return data is not None and data["outcome"] == "finished"


def rows_of(table: pd.DataFrame) -> list[Any]:
    """Return the rows of a table; their columns are attributes."""
    return list(table.itertuples())


def _provenance(study: Study, plan: RunPlan) -> dict[str, Any] | None:
    folders = sorted(p.parent for p in study.place(plan).glob("[!.]*/provenance.json"))
    return {**provenance.read(folders[0]), "folder": folders[0].name} if folders else None


def _tables(folder: Path) -> dict[str, pd.DataFrame] | None:
    """Return the tables in a folder; None where one is not there, or is not one of ours."""
    found = {}
    for name, columns in TABLES.items():
        try:
            table = pd.read_csv(
                folder / f"{name}.csv",
                keep_default_na=False,
                na_values={column: [""] for column in sorted(NUMBERS)},
            )
        except (OSError, ValueError):  # what pandas cannot parse is a ValueError
            return None
        if not set(columns) <= set(table.columns):
            return None
        numbers = [column for column in columns if column in NUMBERS]
        if not all(pd.api.types.is_numeric_dtype(table[c]) for c in numbers) and len(table):
            return None
        found[name] = table
    return found


def _whole(
    spec: MatrixSpec,
    cells: pd.DataFrame,
    plans: Iterable[RunPlan],
    runs: Mapping[str, Mapping[str, Any]],
) -> bool:
    """Say whether a table has a row for every cell, and not run are those that are not finished."""
    wanted = [
        (block, theory, name)
        for block, section in spec.blocks.items()
        for theory in spec.theories
        for name in section.manipulations
    ]
    keys = cells[["block", "theory", "manipulation"]].itertuples(index=False, name=None)
    if sorted(keys) != sorted(wanted):
        return False
    missing = cells[cells["status"] == NOT_RUN]
    left = set(zip(missing["block"], missing["theory"], strict=True))
    return left == {(p.block, p.theory) for p in plans if not finished(runs.get(p.name))}


def effect_of(row: Any) -> Estimate:
    """Return the effect of a cell."""
    return Estimate(row.effect, row.low, row.high, int(row.animals))


def interaction_of(row: Any) -> Estimate:
    """Return what is taken away in a cell, with what is done beside."""
    low, high = row.interaction_low, row.interaction_high
    return Estimate(row.interaction, low, high, int(row.animals))


def of_value(row: Any) -> str:
    """Return what is measured in a cell, with its unit."""
    return f"{readable(row.value)}" + (f", {row.unit}" if row.unit else "")
