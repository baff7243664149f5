"""Is a run folder whole? Every file that holds results, held against what was written."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.workers import tasks_of
from neuro_aws.recording import checkpoint
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.hdf5 import reading
from neuro_aws.recording.inventory import faults, known_parts
from neuro_aws.recording.parts import is_complete
from neuro_aws.recording.reader import Run


@dataclass(frozen=True)
class Checked:
    """A file of a run folder, and what is wrong with it; "" if nothing is."""

    path: Path
    fault: str = ""


def verified(run: Run) -> Iterator[Checked]:
    """Yield every file of a run that was checked: protocol, checkpoints, parts, recording."""
    yield _protocol(run)
    recording = run.folder / "recording.h5"
    complete = is_complete(recording)
    for task in tasks_of(run.protocol, run.animals, run.arms):
        place = Place(run.folder, task.animal, task.branch)
        own = (place.final, place.rolling)
        kept = [path for path in (*own, *place.kept().values()) if path.exists()]
        if complete and not place.final.exists():
            yield Checked(place.final, "is missing")
        for path in kept:
            yield from _state(path, place.parts if path in own and not complete else None)
    yield from _recording(recording)


def _protocol(run: Run) -> Checked:
    path = run.folder / "protocol.yaml"
    known = run.provenance.get("protocol_sha256")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return Checked(path, "" if known in (None, found) else "was altered since the run began")


def _state(path: Path, parts: Path | None) -> Iterator[Checked]:
    try:
        _, facts = checkpoint.load(path)
        known = [] if parts is None else known_parts(facts, path)
    except NeuroAWSError as error:
        yield Checked(path, error.what)
        return
    yield Checked(path)
    if parts is None:
        return
    lost = dict(faults(parts, known))
    for index, part in enumerate(known):
        yield Checked(parts / part.name, lost.get(index, ""))


def _recording(path: Path) -> Iterator[Checked]:
    """Read all of a recording: its checksums find what was altered."""
    damaged: list[str] = []
    try:
        with reading(path.parent) as recording:
            if is_complete(path):  # before, the parts hold what it shows
                branches = map(recording.datasets, recording.branches())
                found = [one for branch in branches for one in branch.values()]
                damaged = [str(one.name) for one in found if not _readable(one)]
    except NeuroAWSError as error:
        yield Checked(path, error.what)
        return
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        yield Checked(path, f"{damaged[0]}{more} damaged")
    else:
        yield Checked(path)


def _readable(dataset: h5py.Dataset) -> bool:
    try:
        rows = max(1, 2**24 // max(1, dataset.nbytes // max(1, len(dataset))))
        for start in range(0, len(dataset), rows):
            dataset[start : start + rows]
    except (OSError, TypeError, ValueError):
        return False
    return True
