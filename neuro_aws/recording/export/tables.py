"""Tidy tables: measures, traces and intervals of all branches, one row an observation.

What arms share stands once, under the name of their trunk (``common``), as in ``Run.metrics``.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from neuro_aws.protocol.columns import INTERVALS
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.recording.export.chosen import Chosen, intervals, made
from neuro_aws.recording.hdf5 import reading
from neuro_aws.recording.reader import Run

TABLES = ("measures", "traces", "intervals")

UNITS = {value.name: value.unit for entry in MEASURES.values() for value in entry.values}
"""The unit of each value."""


def table(chosen: Chosen, name: str) -> pd.DataFrame:
    """Return one of the tables; without rows where nothing of it was recorded."""
    if name == "measures":
        found = measures(chosen.run)
        wanted = found["animal"].isin(chosen.animals) & found["arm"].isin(chosen.branches)
        return found[wanted].reset_index(drop=True)
    frames = {"traces": _traces, "intervals": _intervals}[name]
    with reading(chosen.run.folder):  # whatever goes wrong inside is said of the recording
        parts = [
            part.assign(animal=animal, arm=branch)
            for animal in chosen.animals
            for branch in chosen.branches
            for part in frames(chosen.run, animal, branch)
        ]
    if not parts:
        return pd.DataFrame({"animal": [], "arm": []})
    whole = pd.concat(parts, ignore_index=True)
    keys = ["animal", "arm"]
    return whole[[*keys, *whole.columns.drop(keys)]]


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as its file's name says."""
    with made(path) as temporary:
        if path.suffix == ".parquet":
            frame.to_parquet(temporary, engine="pyarrow", index=False)
        else:
            frame.to_csv(temporary, index=False)


def measures(run: Run) -> pd.DataFrame:
    """Return every measured value with its unit."""
    found = run.metrics
    return found.assign(unit=[UNITS.get(name, "") for name in found["name"]])


def _first(run: Run, branch: str) -> int:
    """Return the first step of a branch's own."""
    return run.protocol.tree.plan(branch).first


def _traces(run: Run, animal: int, branch: str) -> Iterator[pd.DataFrame]:
    if not run.datasets(animal, branch, "neuromodulators"):
        return  # a single neuron has nothing by step, and a branch may not have begun
    found = run.traces(animal, branch).to_dataframe().reset_index()
    own = found[found["step"] >= _first(run, branch)]
    names = run.phase_codes()
    if len(own):
        yield own.assign(phase=[names[int(code)] for code in own["phase"]])


def _intervals(run: Run, animal: int, branch: str) -> Iterator[pd.DataFrame]:
    for name in INTERVALS:
        found = intervals(run, animal, branch, name)
        own = found[found["start"] >= _first(run, branch)]
        if len(own):
            yield own.assign(table=name)[["table", "start", "stop", "label"]]
