"""Saved states: written whole or not at all, and read back without running code from the file.

A state is a flat mapping of arrays (npz), with a few facts beside it (JSON). The file ends in the
SHA-256 of what is before: nothing of a file that was cut or altered by a bit is read.
"""

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording.parts import replace_file

FORMAT_VERSION = 4
State = dict[str, NDArray[Any]]
FACTS = "facts"
SEAL = b"SHA-256:"
"""What stands before the hash at the end of a file."""


@dataclass(frozen=True)
class Place:
    """Where a branch of one animal keeps its files inside the run's folder."""

    run: Path
    animal: int
    branch: str

    @property
    def parts(self) -> Path:
        """Folder of the recording's parts."""
        return self.run / "parts" / f"s{self.animal}" / self.branch

    @property
    def final(self) -> Path:
        """The state at the end of the branch; its presence says that it is finished."""
        return self.checkpoint("")

    @property
    def rolling(self) -> Path:
        """The state to resume from."""
        return self.checkpoint(".resume")

    @property
    def lock(self) -> Path:
        """Held by the process that simulates the branch."""
        return self.final.with_suffix(".lock")

    @property
    def figures(self) -> Path:
        """Folder of the branch's pictures."""
        return self.run / "figures" / f"s{self.animal}_{self.branch}"

    def checkpoint(self, suffix: str) -> Path:
        """Return where a state lies: ``.resume``, ``.best``, ``.00000120``; "": the final one."""
        return self.run / "checkpoints" / f"s{self.animal}" / f"{self.branch}{suffix}.npz"

    def kept(self) -> dict[str, Path]:
        """Return the states kept beside the final one, by step or as ``best``."""
        mine = re.compile(re.escape(self.branch) + r"\.(\d{8}|best)\.npz")
        folder = self.final.parent
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return {m[1]: path for path in found if (m := mine.fullmatch(path.name))}


def save(path: Path, state: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write a state; an existing file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    text = json.dumps({"format_version": FORMAT_VERSION, **facts})
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{FACTS: np.array(text)}, **state)
    with temporary.open("wb") as handle:
        handle.write(content.getbuffer())
        handle.write(SEAL + hashlib.sha256(content.getbuffer()).digest())
    replace_file(temporary, path)


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """Return a state and the facts beside it."""
    try:
        content = _sealed(path)
        _refuse_packed(content)
        with np.load(content, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files if name != FACTS}
            facts: dict[str, Any] = json.loads(str(file[FACTS]))
            step = facts["step"]
            if type(step) is not int or step < 0:
                raise ValueError(f"step {step!r}")
    except Exception as error:  # of whatever kind: the file may be anybody's
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NeuroAWSError(
            f"checkpoint cannot be read ({reason})",
            where=str(path),
            next_step="`neuro-aws inspect --verify RUN` checks the whole run; without this file "
            "--resume simulates its branch anew",
        ) from error
    if facts.get("format_version") != FORMAT_VERSION:
        found = facts.get("format_version")
        raise NeuroAWSError(f"checkpoint has format {found}, not {FORMAT_VERSION}", where=str(path))
    return state, facts


def _sealed(path: Path) -> io.BytesIO:
    """Return the content of a file whose hash is right."""
    data = path.read_bytes()
    end = len(data) - len(SEAL) - hashlib.sha256().digest_size
    if end < 0 or data[end : end + len(SEAL)] != SEAL:
        raise ValueError("no SHA-256 at its end: cut, altered, or of an older version")
    content = memoryview(data)[:end]
    if data[end + len(SEAL) :] != hashlib.sha256(content).digest():
        raise ValueError("altered: its SHA-256 does not fit")
    return io.BytesIO(content)


def _refuse_packed(content: io.BytesIO) -> None:
    """Refuse arrays that take more room than the file: we store them as they are."""
    with zipfile.ZipFile(content) as archive:
        members = archive.infolist()
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or sum(member.file_size for member in members) > len(content.getbuffer()):
            raise ValueError("its arrays are packed")
    content.seek(0)


def keep(place: Place, step: int, last: int, best: str | None, values: Sequence[float]) -> None:
    """Copy the rolling state, drop all but the ``last`` copies, and note the best.

    ``values`` are those of the measure ``best`` at this step: the lowest mean is the best, and is
    noted beside its state.
    """
    _copy(place.rolling, place.checkpoint(f".{step:08d}"))
    steps = [path for name, path in place.kept().items() if name != "best"]
    for old in steps[:-last]:
        old.unlink()
    if not values:
        return
    score, noted = sum(values) / len(values), place.checkpoint(".best").with_suffix(".txt")
    if not noted.exists() or score < _noted(noted):
        _copy(place.rolling, place.checkpoint(".best"))
        noted.write_text(f"{score!r} {best} at step {step}\n")


def _noted(path: Path) -> float:
    try:
        return float(path.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise NeuroAWSError(
            "does not say how good the best state is",
            where=str(path),
            next_step="Delete it: the next state is the best then",
        ) from error


def _copy(source: Path, target: Path) -> None:
    """Copy in one step: a reader sees the old file or the new one."""
    temporary = target.with_suffix(".tmp")
    shutil.copyfile(source, temporary)
    replace_file(temporary, target)
