"""The tidy table of a sweep: one row a value that was measured, beside its point and its run."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.sweep_plan import Row
from neuro_aws.experiment.sweep_runs import Outcome, relative
from neuro_aws.protocol.grid import Grid
from neuro_aws.recording.parts import replace_file
from neuro_aws.recording.reader import METRIC_COLUMNS, open_run

CSV, PARQUET, FIGURE = "table.csv", "table.parquet", "figure.png"
MEASURED = ["animal", "arm", *METRIC_COLUMNS]


def measured(rows: Iterable[Row]) -> Iterator[tuple[Row, pd.DataFrame | None]]:
    """Yield every run with what it measured; one whose folder is damaged has failed."""
    for row in rows:
        try:
            yield row, open_run(row.outcome.folder).metrics if row.ended else None
        except (NeuroAWSError, OSError) as error:
            yield replace(row, outcome=Outcome(error=str(error))), None


def write(
    runs: Sequence[tuple[Row, pd.DataFrame]],
    grid: Grid,
    arms: Sequence[str],
    folder: Path,
    title: str,
) -> pd.DataFrame:
    """Write table and figure of what finished runs measured; return the table."""
    from neuro_aws.plots.sweep import draw

    found = table(runs, grid, folder)
    _in_one_step(folder / CSV, lambda path: found.to_csv(path, index=False))
    _in_one_step(folder / PARQUET, lambda path: found.to_parquet(path, index=False))
    if found["arm"].isin(arms).any():
        draw(found, list(grid.axes), arms, folder / FIGURE, title=title)
    return found


def table(runs: Sequence[tuple[Row, pd.DataFrame]], grid: Grid, folder: Path) -> pd.DataFrame:
    """Return every value of every run; ``run`` is where it lies, from the sweep's folder."""
    return joined(((r.point, relative(r.outcome.folder, folder), m) for r, m in runs), grid)


def joined(runs: Iterable[tuple[Mapping[str, str], str, pd.DataFrame]], grid: Grid) -> pd.DataFrame:
    """Return the values of runs (point, place, values), after the settings that are varied.

    Settings whose values are all numbers are numbers, others text as they were given.
    """
    parts = []
    columns = {key: numbers(values) for key, values in grid.axes.items()}
    for point, place, metrics in runs:
        part = metrics.copy()
        for at, (key, convert) in enumerate(columns.items()):
            part.insert(at, key, convert[point[key]])
        parts.append(part.assign(run=place))
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
