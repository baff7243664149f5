"""SONATA spike files: one for each animal and arm, a population for each layer.

As the developer guide has it: /spikes/<population>/{timestamps, node_ids}, sorted by time.
"""

from pathlib import Path

import h5py
import numpy as np

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.backends import backend_of
from neuro_aws.recording.export.chosen import made
from neuro_aws.recording.export.signals import spikes
from neuro_aws.recording.hdf5 import reading
from neuro_aws.recording.reader import Run

SORTING = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")
BY_TIME = 2
MAGIC, VERSION = np.uint32(0x0A7A), np.array([0, 1], "u4")
"""What tells a SONATA file, and the version of the format."""


def refuse_rates(run: Run) -> None:
    """Refuse a run without spikes: rates have no SONATA file."""
    if not backend_of(run.protocol.spec).seconds:
        raise NeuroAWSError(
            "holds spikes only, and this is a run of rates",
            where="--format sonata",
            next_step="Take --format nwb, csv or parquet",
        )


def write(run: Run, animal: int, arm: str, path: Path) -> int:
    """Write the spikes of one arm of one animal, if there are any; return their number."""
    with reading(run.folder):  # whatever goes wrong inside is said of the recording
        found = spikes(run, animal, arm)
    if found is None or not len(found.times):
        return 0
    cell = np.repeat(np.arange(len(found.ends)), np.diff(found.ends, prepend=0))
    order = np.argsort(found.times, kind="stable")
    time, cell = found.times[order], cell[order]
    with made(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(magic=MAGIC, version=VERSION)
        for layer in np.unique(found.layers):
            mine = found.layers[cell] == layer
            group = file.create_group(f"spikes/layer{layer}")
            group.attrs.create("sorting", BY_TIME, dtype=SORTING)
            group.create_dataset("timestamps", data=time[mine]).attrs["units"] = "ms"
            group.create_dataset("node_ids", data=found.units[cell[mine]].astype("u8"))
    return len(time)
