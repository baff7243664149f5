"""States of spiking lives: npz, written whole or not at all, read without running code from it."""

import json
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording.parts import replace_file

FORMAT_VERSION = 2
Arrays = dict[str, NDArray[Any]]


def save_state(path: Path, arrays: Arrays, facts: dict[str, Any]) -> None:
    """Write arrays and a few facts; an existing file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    text = json.dumps({"format_version": FORMAT_VERSION, **facts})
    with temporary.open("wb") as handle:
        np.savez(handle, facts=np.array(text), allow_pickle=False, **arrays)
    replace_file(temporary, path)


def load_state(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Read what ``save_state`` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "facts"}
            facts = json.loads(str(file["facts"]))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise NeuroAWSError(
            f"state cannot be read ({str(error).splitlines()[0]})",
            where=str(path),
            next_step="Delete it, and --resume goes back to the state before it",
        ) from error
    if facts.get("format_version") != FORMAT_VERSION:
        found = facts.get("format_version")
        raise NeuroAWSError(f"state has format {found}, not {FORMAT_VERSION}", where=str(path))
    return arrays, facts
