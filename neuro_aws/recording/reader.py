"""Reading a run back: labelled arrays (xarray) and tables (pandas)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol, load
from neuro_aws.protocol.columns import PHASE_CODES, recorded_units
from neuro_aws.recording import provenance
from neuro_aws.recording.hdf5 import Recording, described, reading, texts

STEP_GROUPS = ("neuromodulators", "plasticity")


def group_name(animal: int, branch: str) -> str:
    """Return the group of one branch in recording.h5."""
    return f"s{animal}/{branch}"


def protocol_of(folder: Path, data: dict[str, Any], *, allow_code: bool = False) -> Protocol:
    """Return the protocol of a run folder, as it was run; ``data`` is its provenance.

    Its text lies in the folder; code of the user's own is looked for beside the original file.
    """
    path = folder / "protocol.yaml"
    text = load.read(path)
    protocol = Protocol.from_text(
        text,
        data["protocol"] if allow_code else str(path),
        data["overrides"],
        short=data.get("short", False),
        allow_code=allow_code,
        older=True,
    )
    unknown = [arm for arm in data["arms"] if arm not in protocol.tree.arms]
    if unknown:
        raise NeuroAWSError(
            f"names an arm {unknown[0][:60]!r} that the protocol has not",
            where=str(folder / "provenance.json"),
            next_step="Restore it from a copy",
        )
    return protocol


class Run:
    """A run folder, finished or not.

    ``traces(animal, arm)`` gives ACh, release, gate and plasticity as an ``xarray.Dataset`` over
    all steps of an arm (those of its trunk first); ``metrics`` is a table of all measures.
    """

    def __init__(self, folder: str | Path, *, allow_code: bool = False) -> None:
        self.folder = Path(folder)
        self.provenance = provenance.read(self.folder)
        self.protocol = protocol_of(self.folder, self.provenance, allow_code=allow_code)
        self.animals: list[int] = self.provenance["animals"]
        self.arms: list[str] = self.provenance["arms"]

    def __repr__(self) -> str:
        return (
            f"Run({str(self.folder)!r}: {len(self.animals)} animals, arms {', '.join(self.arms)})"
        )

    def branches(self, animal: int, arm: str) -> list[str]:
        """Return the branches that lead to the end of an arm, in order: its trunk and its own."""
        if arm in self.protocol.tree.trunks:
            return [arm]
        if arm not in self.protocol.tree.arms:
            raise NeuroAWSError(f"no arm {arm!r}", next_step="Arms: " + ", ".join(self.arms))
        plan = self.protocol.tree.arms[arm]
        return [plan.trunk, arm] if plan.branch > 0 else [arm]

    def read(self, animal: int, arm: str, path: str) -> np.ndarray[Any, Any]:
        """Return one dataset over all steps of an arm."""
        with reading(self.folder) as file:
            return self._rows(file, animal, arm, path)

    def _rows(self, file: Recording, animal: int, arm: str, path: str) -> np.ndarray[Any, Any]:
        if animal not in self.animals:
            raise NeuroAWSError(
                f"no animal {animal}", next_step="Animals: " + ", ".join(map(str, self.animals))
            )
        names = [f"{group_name(animal, b)}/{path}" for b in self.branches(animal, arm)]
        found = [file.rows(name) for name in names if file.has(name)]
        if not found:
            raise NeuroAWSError(f"holds no {path}", where=f"{self.folder}, s{animal}, {arm}")
        return np.concatenate(found)

    def traces(self, animal: int, arm: str) -> xr.Dataset:
        """Return everything that was recorded per step: one variable a signal, dimension step."""
        parts: list[xr.Dataset] = []
        with reading(self.folder) as file:
            for group in STEP_GROUPS:
                datasets = self._datasets(file, animal, arm, group)
                if not datasets and parts:
                    continue  # a spiking network has no such group
                steps = self._rows(file, animal, arm, f"{group}/step")
                variables = {}
                for path, units, description in datasets:
                    name = path.removeprefix(f"{group}/").replace("/", "_")
                    attributes = {"units": units, "description": description}
                    values = self._rows(file, animal, arm, path)
                    variables[name] = (("step",), values, attributes)
                parts.append(xr.Dataset(variables, coords={"step": steps}))
            return xr.merge(parts, join="outer", compat="no_conflicts")

    def activity(self, animal: int, arm: str, layer: int) -> xr.Dataset:
        """Return soma and dendrite of a layer's recorded units: dimensions step, unit."""
        here = f"activity/layer{layer}"
        with reading(self.folder) as file:
            steps = self._rows(file, animal, arm, f"{here}/step")
            data = {
                name: (("step", "unit"), self._rows(file, animal, arm, f"{here}/{name}"))
                for name in ("soma", "dendrite")
            }
            spec = self.protocol.tree.arms[arm].spec
            record = next(r for r in spec.record.activity if r.layer == layer)
            return xr.Dataset(data, coords={"step": steps, "unit": recorded_units(record, spec)})

    def samples(self, animal: int, arm: str) -> xr.Dataset:
        """Return ACh, label and teaching of single stimuli: dimensions step, sample."""
        variables = {}
        with reading(self.folder) as file:
            steps = self._rows(file, animal, arm, "samples/step")
            for path, units, description in self._datasets(file, animal, arm, "samples"):
                name = path.removeprefix("samples/").replace("/", "_")
                attributes = {"units": units, "description": description}
                variables[name] = (
                    ("step", "sample"),
                    self._rows(file, animal, arm, path),
                    attributes,
                )
            return xr.Dataset(variables, coords={"step": steps})

    def weights(self, animal: int, arm: str) -> xr.Dataset:
        """Return the weights at the moments they were kept: dimension step first."""
        variables = {}
        with reading(self.folder) as file:
            steps = self._rows(file, animal, arm, "weights/step")
            for path, _, description in self._datasets(file, animal, arm, "weights"):
                name = path.removeprefix("weights/")
                values = self._rows(file, animal, arm, path)
                dims = (
                    "step",
                    *(f"{name}_{d}" for d in ("post", "pre", "row", "column")[: values.ndim - 1]),
                )
                variables[name] = (dims, values, {"description": description})
            return xr.Dataset(variables, coords={"step": steps})

    def pictures(self, animal: int, arm: str) -> xr.Dataset:
        """Return dreams and predictions as bytes: dimension step first, channels last."""
        dimensions = {
            "dreams": ("step", "dream", "row", "column", "channel"),
            "predicted": ("step", "stimulus", "depth", "row", "column", "channel"),
        }
        with reading(self.folder) as file:
            steps = self._rows(file, animal, arm, "images/step")
            found = {
                name: (dims, self._rows(file, animal, arm, f"images/{name}"))
                for name, dims in dimensions.items()
            }
            return xr.Dataset(found, coords={"step": steps})

    def intervals(self, animal: int, arm: str, table: str) -> pd.DataFrame:
        """Return ``phases``, ``perturbations`` or ``losses`` of an arm: start, stop, label.

        Losses are steps whose recording was lost and given up (``--accept-loss``).
        """
        here = f"intervals/{table}"
        with reading(self.folder) as file:
            columns = {
                key: self._rows(file, animal, arm, f"{here}/{key}") for key in ("start", "stop")
            }
            labels = texts(self._rows(file, animal, arm, f"{here}/label"))
            return pd.DataFrame({**columns, "label": labels})

    def datasets(self, animal: int, arm: str, group: str) -> list[tuple[str, str, str]]:
        """Return path, units and description of every dataset of a group but its ``step``."""
        with reading(self.folder) as file:
            return self._datasets(file, animal, arm, group)

    def _datasets(
        self, file: Recording, animal: int, arm: str, group: str
    ) -> list[tuple[str, str, str]]:
        for branch in self.branches(animal, arm):
            held = file.datasets(f"{group_name(animal, branch)}/{group}")
            if held:
                return [
                    (f"{group}/{name}", *described(one))
                    for name, one in held.items()
                    if name != "step"
                ]
        return []

    def held(self, animal: int, branch: str) -> tuple[int, list[str]]:
        """Return how many steps of a branch are recorded, and a line about each dataset."""
        with reading(self.folder) as file:
            found = file.datasets(group_name(animal, branch))
            lines = [f"{n} {d.shape} {d.dtype} [{described(d)[0]}]" for n, d in found.items()]
            if not found:
                return 0, lines
            if "neuromodulators/step" in found:
                return len(found["neuromodulators/step"]), lines
            start, stop = (found[f"intervals/phases/{key}"][...] for key in ("start", "stop"))
            return int((stop - start).sum()), lines  # a single neuron has no rows by step

    @property
    def metrics(self) -> pd.DataFrame:
        """Return every measured value: animal, arm, period, cycle, step, name, layer, group, value.

        Values of a trunk stand under its own name (``common``).
        """
        tables = []
        with reading(self.folder) as file:
            for animal in self.animals:
                for branch in [*self.protocol.tree.trunks, *self.arms]:
                    group = f"{group_name(animal, branch)}/metrics"
                    if file.has(group) and len(file.rows(f"{group}/step")):
                        tables.append(_metrics_table(file, group, animal, branch))
        if not tables:
            return pd.DataFrame(columns=["animal", "arm", *METRIC_COLUMNS])
        return pd.concat(tables, ignore_index=True)

    def phase_codes(self) -> dict[int, str]:
        """Return the phase behind each code of the ``phase`` trace."""
        return {code: str(phase) for phase, code in PHASE_CODES.items()}


def _metrics_table(file: Recording, group: str, animal: int, arm: str) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for key in METRIC_COLUMNS:
        values = file.rows(f"{group}/{key}")
        columns[key] = texts(values) if key in TEXT_COLUMNS else values
    table = pd.DataFrame(columns)
    table.insert(0, "arm", arm)
    table.insert(0, "animal", animal)
    return table


METRIC_COLUMNS = ("period", "cycle", "step", "name", "layer", "group", "value")
TEXT_COLUMNS = ("period", "name", "group")


def open_run(folder: str | Path, *, allow_code: bool = False) -> Run:
    """Open a run folder; ``allow_code`` consents to importing the user's own code it names."""
    return Run(folder, allow_code=allow_code)
