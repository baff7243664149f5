"""Saved states: written whole or not at all, and read back without running code from the file.

A state is a flat mapping of arrays (npz), with a few facts beside it (JSON).
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording.parts import replace_file

FORMAT_VERSION = 3
State = dict[str, NDArray[Any]]
FACTS = "facts"


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
    with temporary.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **{FACTS: np.array(text)}, **state)
    replace_file(temporary, path)


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """Return a state and the facts beside it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files if name != FACTS}
            facts: dict[str, Any] = json.loads(str(file[FACTS]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NeuroAWSError(
            f"checkpoint cannot be read ({reason})",
            where=str(path),
            next_step="Delete it, and --resume goes back to the state before it",
        ) from error
    if facts.get("format_version") != FORMAT_VERSION:
        found = facts.get("format_version")
        raise NeuroAWSError(f"checkpoint has format {found}, not {FORMAT_VERSION}", where=str(path))
    return state, facts


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
    if not noted.exists() or score < float(noted.read_text().split()[0]):
        _copy(place.rolling, place.checkpoint(".best"))
        noted.write_text(f"{score!r} {best} at step {step}\n")


def _copy(source: Path, target: Path) -> None:
    """Copy in one step: a reader sees the old file or the new one."""
    temporary = target.with_suffix(".tmp")
    shutil.copyfile(source, temporary)
    replace_file(temporary, target)
