"""One run of a sweep: an animal at a point of the grid, made by ``run`` like any other.

A run has a key, the hash of all that decides its numbers, and a place of its own by that key. What
is there already is never simulated twice: what is finished is taken as it is, what was begun goes
on, and two processes that are given the same run (a worker that was given up lives on) wait for
one another.
"""

import hashlib
import json
import math
import os
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from neuro_aws.errors import NeuroAWSError, in_a_line
from neuro_aws.experiment.run import SAVE_SECONDS, Options, resume, run
from neuro_aws.experiment.run_folder import NEW
from neuro_aws.experiment.workers import lock
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.consent import Request
from neuro_aws.protocol.data import using_data
from neuro_aws.protocol.data_files import data_digest
from neuro_aws.recording import provenance

RECORDING = "recording.h5"
LONGEST_ERROR = 300

_one_at_a_time = threading.Lock()
"""A run sets torch's threads, a log and one thread for products: of the whole process."""


@dataclass(frozen=True)
class SweepRun:
    """All that decides the numbers of a run; travels between processes."""

    text: str
    overrides: tuple[str, ...]
    short: bool
    arms: tuple[str, ...]
    animal: int
    step: str
    """Form of the step, the same on all machines: compiled or written-out."""
    version: str
    """Of neuro-aws."""
    device: str = "cpu"
    code: str = ""
    """Hash of the user's own code that the protocol names."""
    data: str = ""
    """Hash of the data files that the protocol names."""

    @property
    def key(self) -> str:
        """Return the hash that a run is known by; the order of settings does not matter."""
        facts = {**asdict(self), "overrides": sorted(self.overrides)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Errand:
    """A run, and where and how it is made: nothing of this changes a number of it."""

    run: SweepRun
    runs: Path
    """Folder that holds the place of every run."""
    source: str
    data: str | None = None
    allow_code: bool = False
    save_seconds: float = SAVE_SECONDS

    @property
    def place(self) -> Path:
        """Folder of this run alone."""
        return self.runs / self.run.key

    def protocol(self) -> Protocol:
        """Return the protocol at this point."""
        return Protocol.from_text(
            self.run.text,
            self.source,
            self.run.overrides,
            short=self.run.short,
            allow_code=self.allow_code,
        )


@dataclass(frozen=True)
class Outcome:
    """How a run of a sweep ended: its folder and the hash of its recording, or what went wrong."""

    folder: str = ""
    sha256: str = ""
    error: str = ""


def simulate(errand: Errand) -> Outcome:
    """Make a run, or go on with it, in this process; an error is an outcome as well."""
    try:
        with _one_at_a_time:
            return _simulate(errand)
    except MemoryError:
        return Outcome(error="out of memory")
    except Exception as error:  # whatever it is, the other runs go on
        kind = "" if isinstance(error, NeuroAWSError) else f"unexpected {type(error).__name__}: "
        return Outcome(error=kind + in_a_line(error, LONGEST_ERROR))


def code_of(protocol: Protocol) -> str:
    """Return the hash of the user's own code that a protocol names; with other code it changes."""
    if not protocol.own_code:
        return ""
    found = Request.of(protocol, protocol.source).digest()
    if found is None:
        raise NeuroAWSError(
            "there is too much code beside it to tell when it changes",
            where=protocol.source,
            next_step="Put it into a folder of its own",
        )
    return found


def data_of(protocol: Protocol, root: str | None) -> str:
    """Return the hash of the data files that a protocol names, data sets looked for in ``root``."""
    with using_data(root):
        return data_digest(
            spec.stimulus for arm in protocol.tree.arms.values() for spec in (arm.initial, arm.spec)
        )


def _refuse_other_version(wanted: SweepRun) -> None:
    if provenance.version() != wanted.version:
        raise NeuroAWSError(
            f"this worker has neuro-aws {provenance.version()}, the sweep {wanted.version}",
            next_step="Start workers in the same environment",
        )


def _refuse_other_files(wanted: SweepRun, protocol: Protocol, root: str | None) -> None:
    """Refuse to make a run of other code and data than it is known by."""
    for what, known, found in (
        ("code", wanted.code, code_of(protocol)),
        ("data files", wanted.data, data_of(protocol, root)),
    ):
        if known != found:
            raise NeuroAWSError(
                f"the {what} that the protocol names changed since the sweep began",
                next_step="The same command makes its runs with what is there now",
            )


def _simulate(errand: Errand) -> Outcome:
    wanted = errand.run
    _refuse_other_version(wanted)
    protocol = errand.protocol()
    _refuse_other_files(wanted, protocol, errand.data)
    what = f"run {wanted.key}"
    with lock(errand.place / "run.lock", what, seconds=math.inf):
        for unnamed in errand.place.glob(f"*/{NEW}*"):  # of processes that were killed
            shutil.rmtree(unnamed, ignore_errors=True)
        folder = found(errand.place)
        if folder is None or not is_finished(folder):
            options = Options(
                seed=wanted.animal,
                seeds=1,
                jobs=1,
                device=wanted.device,
                arms=wanted.arms,
                out=str(errand.place),
                data=errand.data,
                save_seconds=errand.save_seconds,
                allow_code=errand.allow_code,
                step=wanted.step,
                figures=False,
            )
            if folder is None:
                folder = run(protocol, options=options).folder
            else:
                resume(folder, options=options)
    return outcome(folder)


def outcome(folder: Path) -> Outcome:
    """Return the outcome of a finished run."""
    with (folder / RECORDING).open("rb") as file:
        return Outcome(str(folder), hashlib.file_digest(file, "sha256").hexdigest())


def found(place: Path) -> Path | None:
    """Return the run folder at a place; None: nothing was begun there."""
    folders = sorted(path.parent for path in place.glob("[!.]*/[!.]*/provenance.json"))
    if len(folders) > 1:
        raise NeuroAWSError(
            f"holds {len(folders)} runs, not one", where=str(place), next_step="Keep one of them"
        )
    return folders[0] if folders else None


def is_finished(folder: Path) -> bool:
    """Say whether a run has come to its end."""
    return bool(provenance.read(folder)["outcome"] == "finished")


def relative(outcome_folder: str, home: Path) -> str:
    """Return where a run lies, as seen from a folder: sweeps may be moved as a whole."""
    return os.path.relpath(outcome_folder, home)
