"""One recording from branches that lie in those of several runs."""

from collections.abc import Mapping
from pathlib import Path

import h5py

from neuro_aws.protocol.columns import FORMAT_VERSION
from neuro_aws.recording.hdf5 import reading
from neuro_aws.recording.parts import replace_file
from neuro_aws.recording.room import refuse_full


def join(path: Path, sources: Mapping[str, Path], attributes: Mapping[str, str]) -> None:
    """Write recording.h5 of branches (s0/control), each from the run folder that holds it.

    Datasets are copied as they lie on the disk, with their checksums.
    """
    size = sum((folder / "recording.h5").stat().st_size for folder in set(sources.values()))
    refuse_full(path.parent, size)
    temporary = path.with_suffix(".tmp")
    with h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["complete"] = True
        for key, value in attributes.items():
            file.attrs[key] = value
        for name, folder in sources.items():
            with reading(folder) as recording:
                for below, dataset in recording.datasets(name).items():
                    recording.file.copy(dataset, file, f"{name}/{below}")
    replace_file(temporary, path)
