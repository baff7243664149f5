"""The folder that a run writes: made whole or not at all; its log, and how it ended."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.workers import Task, is_held, tasks_of
from neuro_aws.protocol import Protocol
from neuro_aws.recording import provenance
from neuro_aws.recording.parts import write_index
from neuro_aws.recording.reader import Run, group_name
from neuro_aws.recording.room import Full

NEW = ".new-"
"""Begins the name of a folder that has not got its own yet."""

log = logging.getLogger("neuro_aws")


Fill = Callable[[Path, Protocol, dict[str, Any]], None]
"""Writes what a new folder holds, from its protocol and settings."""


def new_folder(
    protocol: Protocol, out: str, settings: dict[str, Any], fill: Fill | None = None
) -> Path:
    """Make the run's folder, which appears with all that a run can be inspected by, or not at all.

    ``fill`` writes what it holds; by default a run that is about to begin. A kill at any moment
    leaves at most a hidden folder that has not got its name yet.
    """
    first, write = settings["animals"][0], fill or _begin
    return named_folder(
        Path(out) / protocol.spec.name, first, lambda folder: write(folder, protocol, settings)
    )


def named_folder(base: Path, first: int, fill: Callable[[Path], None]) -> Path:
    """Make a folder below ``base``, named after the time and the first animal, and ``fill`` it.

    It appears whole or not at all: a kill leaves at most a hidden folder without its name yet.
    """
    stamp, prepared = datetime.now().strftime("%Y%m%d-%H%M%S"), None
    try:
        base.mkdir(parents=True, exist_ok=True)
        prepared = Path(tempfile.mkdtemp(prefix=NEW, dir=base))
        prepared.chmod(0o777 & ~_umask())
        fill(prepared)
    except BaseException as error:
        if prepared is not None:
            shutil.rmtree(prepared, ignore_errors=True)
        if not isinstance(error, OSError | Full):
            raise
        said = error.what if isinstance(error, Full) else f"cannot write ({error.strerror})"
        if isinstance(error, FileExistsError):
            said = "is not a folder"
        raise NeuroAWSError(said, where=str(base)) from error
    for attempt in range(1, 1000):
        suffix = "" if attempt == 1 else f"-{attempt}"
        folder = base / f"{stamp}-s{first}{suffix}"
        with suppress(OSError):  # another run of the same second has that name
            if not folder.exists():
                return prepared.rename(folder)
    raise NeuroAWSError("too many runs in one second", where=str(base))


def write_protocol(folder: Path, protocol: Protocol) -> None:
    """Write the protocol as it was written, and with every default written out."""
    (folder / "protocol.yaml").write_text(protocol.text, encoding="utf-8")
    (folder / "resolved.yaml").write_text(protocol.resolved(), encoding="utf-8")


def _begin(folder: Path, protocol: Protocol, settings: dict[str, Any]) -> None:
    write_protocol(folder, protocol)
    tasks = tasks_of(protocol, settings["animals"], settings["arms"])
    write_index(folder / "recording.h5", parts_of(folder, tasks))
    provenance.write(folder, provenance.provenance(settings))


def _umask() -> int:
    """Return the permissions that the user withholds from new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def parts_of(folder: Path, tasks: list[Task]) -> dict[str, Path]:
    """Return where the recording of each branch lies until the run ends, by its group."""
    return {
        group_name(t.animal, t.branch): folder / "parts" / f"s{t.animal}" / t.branch for t in tasks
    }


def end(folder: Path, outcome: str) -> None:
    """Write down how the run ended, and when."""
    data = provenance.read(folder)
    data["outcome"], data["ended"] = outcome, provenance.now()
    provenance.write(folder, data)


def outcome(run: Run) -> str:
    """Return how a run ended, and how it goes on if it has not come to its end."""
    ended = str(run.provenance["outcome"])
    if ended == "finished" or is_held(run.folder / "run.lock"):
        return ended
    found = "killed" if ended == "running" else ended
    return f"{found}; neuro-aws run --resume {run.folder} goes on"


class _Log(logging.FileHandler):
    """A log that says nothing where it cannot be written: what was to be logged is said anyway."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing."""


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write what is logged into the run's log for a while."""
    handler = _Log(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    level, log.propagate = log.level, False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
