"""The folder that a run writes: made whole or not at all; its log, and how it ended."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.workers import Task, tasks_of
from neuro_aws.protocol import Protocol
from neuro_aws.recording import provenance
from neuro_aws.recording.parts import write_index
from neuro_aws.recording.reader import group_name
from neuro_aws.recording.room import Full

log = logging.getLogger("neuro_aws")


def new_folder(protocol: Protocol, out: str, settings: dict[str, Any]) -> Path:
    """Make the run's folder, which appears with all that a run can be inspected by, or not at all.

    A kill at any moment leaves at most a hidden folder that has not got its name yet.
    """
    first = settings["animals"][0]
    return named_folder(Path(out) / protocol.spec.name, first, partial(_fill, protocol, settings))


def named_folder(base: Path, first: int, fill: Callable[[Path], None]) -> Path:
    """Make a folder below ``base``, named after the time and the first animal, and ``fill`` it.

    It appears whole or not at all.
    """
    stamp, prepared = datetime.now().strftime("%Y%m%d-%H%M%S"), None
    try:
        base.mkdir(parents=True, exist_ok=True)
        prepared = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
        prepared.chmod(0o777 & ~_umask())
        fill(prepared)
    except (OSError, Full) as error:
        if prepared is not None:
            shutil.rmtree(prepared, ignore_errors=True)
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


def _fill(protocol: Protocol, settings: dict[str, Any], folder: Path) -> None:
    (folder / "protocol.yaml").write_text(protocol.text, encoding="utf-8")
    (folder / "resolved.yaml").write_text(protocol.resolved(), encoding="utf-8")
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
