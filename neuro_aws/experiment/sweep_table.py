"""The tidy table of a sweep: one row a value that was measured, beside its point and its run."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from neuro_aws.experiment.sweep_plan import Row
from neuro_aws.experiment.sweep_runs import relative
from neuro_aws.protocol.grid import Grid
from neuro_aws.recording.parts import replace_file
from neuro_aws.recording.reader import METRIC_COLUMNS, open_run

CSV, PARQUET, FIGURE = "table.csv", "table.parquet", "figure.png"
MEASURED = ["animal", "arm", *METRIC_COLUMNS]


def write(
    rows: Sequence[Row], grid: Grid, arms: Sequence[str], folder: Path, title: str
) -> pd.DataFrame:
    """Write table and figure of the finished runs; return the table."""
    from neuro_aws.plots.sweep import draw

    found = table(rows, grid, folder)
    _in_one_step(folder / CSV, lambda path: found.to_csv(path, index=False))
    _in_one_step(folder / PARQUET, lambda path: found.to_parquet(path, index=False))
    if found["arm"].isin(arms).any():
        draw(found, list(grid.axes), arms, folder / FIGURE, title=title)
    return found


def table(rows: Sequence[Row], grid: Grid, folder: Path) -> pd.DataFrame:
    """Return every value of every finished run, after the settings that are varied.

    ``run`` is where the run lies, from the sweep's folder. Settings whose values are all numbers
    are numbers, others text as they were given.
    """
    parts = []
    columns = {key: numbers(values) for key, values in grid.axes.items()}
    for row in rows:
        part = open_run(row.outcome.folder).metrics
        for place, (key, convert) in enumerate(columns.items()):
            part.insert(place, key, convert[row.point[key]])
        parts.append(part.assign(run=relative(row.outcome.folder, folder)))
    parts = [part for part in parts if len(part)]
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns=[*columns, *MEASURED, "run"])


def numbers(values: Sequence[str]) -> dict[str, float | int | str]:
    """Return what stands for each value of a setting: numbers where all are, else their texts."""
    for kind in (int, float):
        with suppress(ValueError):
            found = {value: kind(value) for value in values}
            if all(math.isfinite(number) for number in found.values()):
                return dict(found)
    return {value: value for value in values}


def _in_one_step(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_suffix(f".tmp{path.suffix}")
    write(temporary)
    replace_file(temporary, path)
