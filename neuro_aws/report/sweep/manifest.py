"""What a sweep came to, read from its folder: its manifest, its table, its runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.sweep_manifest import MANIFEST
from neuro_aws.experiment.sweep_table import CSV, MEASURED, joined, numbers
from neuro_aws.protocol.grid import Grid
from neuro_aws.recording.folder import refuse_what_leads_out
from neuro_aws.recording.reader import Run, open_run

FAILED = "failed: "


@dataclass(frozen=True)
class Made:
    """A run of a sweep, as its manifest tells of it."""

    point: Mapping[str, str]
    animal: int
    outcome: str
    folder: str
    """From the sweep's folder; empty unless it is finished."""
    step: str

    @property
    def error(self) -> str:
        """Return why it failed; empty: it has not."""
        return self.outcome.removeprefix(FAILED) if self.outcome.startswith(FAILED) else ""


@dataclass(frozen=True)
class Reported:
    """All that a report of a sweep is made from."""

    folder: Path
    facts: Mapping[str, Any]
    grid: Grid
    animals: Sequence[int]
    arms: Sequence[str]
    runs: Sequence[Made]
    table: pd.DataFrame

    @property
    def finished(self) -> list[Made]:
        """Return the runs that have come to their end."""
        return [run for run in self.runs if run.folder]

    @property
    def failed(self) -> list[Made]:
        """Return the runs that failed."""
        return [run for run in self.runs if run.error]

    @cached_property
    def example(self) -> Run | None:
        """Return the first run that is finished: its protocol is that of all."""
        return self.open(self.finished[0]) if self.finished else None

    def open(self, run: Made) -> Run:
        """Open the folder of a run."""
        return open_run(self.folder / run.folder)


def read(folder: Path) -> Reported:
    """Read the folder of a sweep; where its table does not hold all its runs, they are read."""
    refuse_what_leads_out(folder)
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        runs = [
            Made(
                {str(key): str(value) for key, value in run["point"].items()},
                int(run["animal"]),
                str(run["outcome"]),
                str(run["folder"]),
                str(run["step"]),
            )
            for run in facts["runs"]
        ]
        constant = {str(key): str(value) for key, value in facts["constant"].items()}
        axes = {str(key): tuple(map(str, values)) for key, values in facts["axes"].items()}
        points = tuple(dict(point) for point in dict.fromkeys(tuple(r.point.items()) for r in runs))
        known = {key: set(values) for key, values in axes.items()}
        if not runs or any(p.keys() != axes.keys() for p in points):
            raise ValueError("runs of other settings")
        if any(value not in known[key] for point in points for key, value in point.items()):
            raise ValueError("runs of other settings")
        animals, arms = [int(a) for a in facts["animals"]], [str(a) for a in facts["arms"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NeuroAWSError(
            "cannot be read",
            where=str(folder / MANIFEST),
            next_step="The same `neuro-aws sweep` command writes it anew",
        ) from error
    _refuse_elsewhere(folder, runs)
    grid = Grid(constant, axes, points)
    return Reported(folder, facts, grid, animals, arms, runs, _table(folder, grid, runs))


def _refuse_elsewhere(folder: Path, runs: Sequence[Made]) -> None:
    home = folder.resolve().parent
    for run in runs:
        if not (folder / run.folder).resolve().is_relative_to(home):
            raise NeuroAWSError(
                "names a run that does not lie beside the sweep", where=str(folder / MANIFEST)
            )


def _table(folder: Path, grid: Grid, runs: Sequence[Made]) -> pd.DataFrame:
    """Return the sweep's own table, or that of the runs where it is not of all that are finished.

    A sweep that was killed has none.
    """
    kinds: dict[str, Any] = {
        key: str
        for key, values in grid.axes.items()
        if any(isinstance(v, str) for v in numbers(values).values())
    }
    there = {run.folder for run in runs if run.folder}
    try:
        found = pd.read_csv(
            folder / CSV,
            dtype={**kinds, "name": str, "group": str, "arm": str, "period": str, "run": str},
            keep_default_na=False,
            na_values={"value": ["", "nan"]},
        )
        if {*grid.axes, *MEASURED, "run"} <= set(found.columns) and set(found["run"]) == there:
            return found
    except (OSError, ValueError):  # what pandas cannot parse is a ValueError
        pass
    opened = (
        (run.point, run.folder, open_run(folder / run.folder).metrics) for run in runs if run.folder
    )
    return joined(opened, grid)
