"""Two runs side by side: settings, recordings to the bit, measures."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pandas as pd
import yaml

from neuro_aws.experiment.results import references
from neuro_aws.metrics.statistics import (
    VALUE_KEYS,
    Estimate,
    estimate,
    last_values,
    paired,
    paired_values,
)
from neuro_aws.protocol.branches import names_of
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
    with h5py.File(a.folder / "recording.h5") as one, h5py.File(b.folder / "recording.h5") as two:
        for animal in (name for name in one if name.startswith("s")):
            for branch in one[animal]:
                name = f"{animal}/{branch}"
                held = [f"{animal}/{n}" for n in names_of(branch) if f"{animal}/{n}" in two]
                if not held:
                    continue
                differing = list(_differing(one[name], two[held[0]]))
                if not differing:
                    yield f"{name}: identical, bit for bit"
                else:
                    yield f"{name}: {len(differing)} datasets differ, first {differing[0]}"


def _differing(a: h5py.Group, b: h5py.Group) -> Iterator[str]:
    names: list[str] = []
    a.visititems(lambda n, item: names.append(n) if isinstance(item, h5py.Dataset) else None)
    for name in names:
        if (
            name not in b
            or a[name].shape != b[name].shape
            or not np.array_equal(a[name][...].view("u1"), b[name][...].view("u1"))
        ):
            yield name


def measures(a: Run, b: Run) -> pd.DataFrame:
    """Return the last values of the arms both runs have, and every arm minus its reference.

    One row a value: ``reference`` is empty for an arm's own value, else the row is about the paired
    difference to it. Mean and interval of the first run, of the second, and of the second minus
    the first over the animals that both hold.
    """
    one, two = (_own_and_against_reference(run).groupby(ROW_KEYS, sort=False) for run in (a, b))
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


def _own_and_against_reference(run: Run) -> pd.DataFrame:
    last = last_values(run.metrics)
    last = last[last["arm"].isin(run.arms)]
    parts = [last.assign(reference=""), paired_values(last, references(run))]
    return pd.concat([part for part in parts if len(part)])
