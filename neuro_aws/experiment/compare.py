"""Two runs side by side: settings, recordings to the bit, measures."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import yaml
from numpy.typing import NDArray

from neuro_aws.experiment.results import references
from neuro_aws.metrics.initial import gained, initial_values, only_gained
from neuro_aws.metrics.statistics import (
    VALUE_KEYS,
    Estimate,
    estimate,
    last_values,
    paired,
    paired_values,
)
from neuro_aws.protocol.branches import names_of
from neuro_aws.recording.hdf5 import reading
from neuro_aws.recording.reader import Run


def settings(a: Run, b: Run) -> list[str]:
    """Return one line for each setting that differs: key: first -> second."""
    first, second = (_flat(yaml.safe_load(r.protocol.resolved())) for r in (a, b))
    lines = []
    for key in sorted(first.keys() | second.keys()):
        one, two = first.get(key, "-"), second.get(key, "-")
        if one != two:
            lines.append(f"{key}: {one} -> {two}")
    for key in ("animals", "device", "neuro_aws"):
        if a.provenance.get(key) != b.provenance.get(key):
            lines.append(f"{key}: {a.provenance.get(key)} -> {b.provenance.get(key)}")
    return lines


def _flat(data: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(data, dict):
        return {
            k: v for key, value in data.items() for k, v in _flat(value, f"{prefix}.{key}").items()
        }
    if isinstance(data, list) and any(isinstance(item, dict | list) for item in data):
        return {
            k: v for i, value in enumerate(data) for k, v in _flat(value, f"{prefix}[{i}]").items()
        }
    return {prefix.lstrip("."): data}


def bits(a: Run, b: Run) -> Iterator[str]:
    """Yield, for every branch both runs hold, whether all recorded numbers are the same bits."""
    with reading(a.folder) as recording:
        branches = [name for name in recording.branches() if recording.has(name)]
    for name in branches:
        animal, branch = name.split("/")
        with reading(b.folder) as recording:
            held = [f"{animal}/{n}" for n in names_of(branch) if recording.has(f"{animal}/{n}")]
        if held:
            differing = list(_differing(a, name, b, held[0]))
            if not differing:
                yield f"{name}: identical, bit for bit"
            else:
                yield f"{name}: {len(differing)} datasets differ, first {differing[0]}"


def _differing(a: Run, of_a: str, b: Run, of_b: str) -> Iterator[str]:
    """Yield the datasets of a branch of one run that are not the same in one of another run."""
    with reading(a.folder) as recording:
        names = list(recording.datasets(of_a))
    for name in names:
        if not _same(_rows(a, f"{of_a}/{name}"), _rows(b, f"{of_b}/{name}")):
            yield name


def _rows(run: Run, name: str) -> NDArray[Any] | None:
    with reading(run.folder) as recording:
        return recording.rows(name) if recording.has(name) else None


def _same(one: NDArray[Any] | None, two: NDArray[Any] | None) -> bool:
    if one is None or two is None:
        return False
    alike = one.shape == two.shape and one.dtype == two.dtype
    return alike and one.tobytes() == two.tobytes()


def measures(a: Run, b: Run) -> pd.DataFrame:
    """Return the last values of the arms both runs have, and every arm minus its reference.

    One row a value: ``reference`` is empty for an arm's own value, else the row is about the paired
    difference to it, or to the initial value where random weights give much of it. Mean and
    interval of the first run, of the second, and of the second minus the first over the animals
    that both hold.
    """
    one, two = (_own_and_compared(run).groupby(ROW_KEYS, sort=False) for run in (a, b))
    rows = []
    for key, first in one:
        if key not in two.groups:
            continue
        name = None if key[1] else str(key[ROW_KEYS.index("name")])
        x, y = (part.set_index("animal")["value"] for part in (first, two.get_group(key)))
        found = estimate(x, name), estimate(y, name), paired(y, x).difference
        rows.append((*key, *(number for e in found for number in e)))
    suffixed = [f"{field}{suffix}" for suffix in ("_1", "_2", "") for field in Estimate._fields]
    return pd.DataFrame(rows, columns=[*ROW_KEYS, *suffixed])


ROW_KEYS = ["arm", "reference", *VALUE_KEYS]


def _own_and_compared(run: Run) -> pd.DataFrame:
    metrics = run.metrics
    last = last_values(metrics)
    last = last[last["arm"].isin(run.arms)]
    since = gained(only_gained(last), initial_values(metrics, run.protocol.tree, run.arms))
    parts = [
        last.assign(reference=""),
        since.assign(reference="initial value"),  # no arm has a blank in its name
        paired_values(last, references(run)),
    ]
    return pd.concat([part for part in parts if len(part)] or parts)
