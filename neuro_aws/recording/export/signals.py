"""Everything that was recorded over time, in seconds: one signal a dataset, with its unit."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.columns import recorded_units
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.spiking_columns import traced_cells
from neuro_aws.recording.reader import Run

NOMINAL_SECONDS = 1.0
"""What a step of a rate network is taken to last where nothing else was declared."""

ONE_POTENTIAL = "15 mV"
"""The unit of potentials in recordings (docs/spiking.md)."""


@dataclass(frozen=True)
class Seconds:
    """How steps of the schedule become seconds."""

    step: float
    """What a step lasts."""
    nominal: bool
    """Whether that was only declared: a rate network has no time of its own."""

    @property
    def words(self) -> str:
        """What a reader of the file must know of its times."""
        if self.nominal:
            return (
                f"Times are nominal: a step of a rate network has no duration of its own and was "
                f"declared to last {self.step:g} s, so rates per second mean nothing here."
            )
        return f"Times are biological: a step of the schedule lasts {self.step:g} s."


def seconds(spec: ProtocolSpec, declared: float | None) -> Seconds:
    """Return how long a step lasts: that of spikes is the protocol's, of rates is declared."""
    if not backend_of(spec).seconds:
        return Seconds(NOMINAL_SECONDS if declared is None else declared, nominal=True)
    own = spec.spiking.step / 1000
    if declared is not None and declared != own:
        raise NeuroAWSError(
            f"a step of this run lasts {own:g} s of biological time (spiking.step), not "
            f"{declared:g} s",
            where="--step-duration",
            next_step="Leave it out",
        )
    return Seconds(own, nominal=False)


@dataclass(frozen=True)
class Signal:
    """One dataset: rows over time, maybe of several units."""

    name: str
    group: str
    times: NDArray[np.float64]
    """s since the first step; of what belongs to a whole step, its beginning."""
    values: NDArray[Any]
    units: str
    description: str
    about: str = ""
    """What the columns are."""

    @property
    def rate(self) -> float | None:
        """Samples a second where they are equally far apart, else None."""
        if len(self.times) < 2:
            return None
        apart = np.diff(self.times)
        mean = (self.times[-1] - self.times[0]) / (len(self.times) - 1)
        return float(1 / mean) if np.allclose(apart, mean, rtol=1e-6, atol=0) else None


GROUPS = (
    "neuromodulators",
    "plasticity",
    "activity",
    "counts",
    "potentials",
    "homeostasis",
    "samples",
)
"""Groups of a recording whose rows are moments; weights and pictures are kept too seldom."""

CLOCKS = ("step", "time")


def signals(run: Run, animal: int, arm: str, time: Seconds) -> Iterator[Signal]:
    """Yield every signal of an arm, the steps of its trunk first, in the order of the recording.

    The phase of each step is left to the table of phases.
    """
    spec = run.protocol.tree.arms[arm].spec
    for group in GROUPS:
        for path, units, description in run.datasets(animal, arm, group):
            name = path.rsplit("/", 1)[1]
            if name in (*CLOCKS, "phase"):
                continue
            values = run.read(animal, arm, path)
            times = _times(run, animal, arm, path, time)
            if len(times) != len(values):
                raise NeuroAWSError(
                    f"{path} has {len(values)} rows at {len(times)} moments",
                    where=f"{run.folder}, s{animal}, {arm}",
                    next_step=f"neuro-aws inspect --verify {run.folder} lists what is damaged",
                )
            if len(values):
                about = _columns(path, spec, values)
                yield Signal(_name(path), group, times, values, units, description, about)


def _name(path: str) -> str:
    """Return a dataset's name, as ``Run.traces`` has it."""
    group, rest = path.split("/", 1)
    parts = [rest] if group in ("neuromodulators", "plasticity") else [group, rest]
    return "_".join(parts).replace("/", "_")


def _times(run: Run, animal: int, arm: str, path: str, time: Seconds) -> NDArray[np.float64]:
    """Return when each row of a dataset was, s."""
    group = path.split("/", 1)[0]
    if group == "potentials":
        return run.read(animal, arm, "potentials/time") / 1000
    here = path.rsplit("/", 1)[0] if group == "activity" else group
    return run.read(animal, arm, f"{here}/step") * time.step


def _columns(path: str, spec: ProtocolSpec, values: NDArray[Any]) -> str:
    """Return in words what the columns of a dataset are."""
    if values.ndim == 1:
        return ""
    group, rest = path.split("/", 1)
    if group == "samples":
        return "Columns: the stimuli of the batch."
    if group == "potentials":
        return f"Columns: cells {ids(traced_cells(spec))}, counted through all layers."
    layer = int(rest.split("/")[0].split("_")[0].removeprefix("layer"))
    units = list(range(values.shape[1]))
    if group == "activity":
        units = recorded_units(next(r for r in spec.record.activity if r.layer == layer), spec)
    return f"Columns: units {ids(units)} of layer {layer}."


def ids(units: list[int]) -> str:
    """Return ids in a few words: 0 to 9, or one after the other."""
    if len(units) > 2 and all(b == a + 1 for a, b in pairwise(units)):
        return f"{units[0]} to {units[-1]}"
    return ", ".join(map(str, units))


@dataclass(frozen=True)
class Spikes:
    """The spikes of every cell, ms since the first step."""

    layers: NDArray[np.int64]
    units: NDArray[np.int64]
    """Layer of each cell, and its number there."""
    times: NDArray[np.float64]
    """Of all cells, one after the other."""
    ends: NDArray[np.int64]
    """Where in ``times`` those of each cell end."""


def spikes(run: Run, animal: int, arm: str) -> Spikes | None:
    """Return all spikes of an arm; None where none are recorded."""
    if not run.datasets(animal, arm, "spikes"):
        return None
    time = run.read(animal, arm, "spikes/time")
    cell = run.read(animal, arm, "spikes/neuron")
    held = [path for path, *_ in run.datasets(animal, arm, "counts")]
    counts = sorted(
        (path for path in held if path.rsplit("/layer", 1)[-1].isdigit()),
        key=lambda path: int(path.rsplit("/layer", 1)[1]),
    )
    sizes = [run.read(animal, arm, path).shape[1] for path in counts] or [1]
    layers = np.repeat(np.arange(len(sizes)), sizes)
    units = np.concatenate([np.arange(size) for size in sizes])
    if len(cell) and not 0 <= cell.min() <= cell.max() < len(layers):
        raise NeuroAWSError(
            f"spikes/neuron names a cell beyond the {len(layers)} of the network",
            where=f"{run.folder}, s{animal}, {arm}",
            next_step=f"neuro-aws inspect --verify {run.folder} lists what is damaged",
        )
    order = np.argsort(cell, kind="stable")
    ends = np.cumsum(np.bincount(cell, minlength=len(layers)))
    return Spikes(layers, units, time[order], ends)
