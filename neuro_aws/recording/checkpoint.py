"""Saved states: written whole or not at all, and read back without running code from the file."""

import pickle
from pathlib import Path
from typing import Any

import torch

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording.parts import replace_file

FORMAT_VERSION = 1


def save(path: Path, payload: dict[str, Any]) -> None:
    """Write a state; an existing file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save({"format_version": FORMAT_VERSION, **payload}, temporary)
    replace_file(temporary, path)


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a state (tensors, numbers and text only)."""
    try:
        payload: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
        reason = str(error).split("\n", 1)[0]
        raise NeuroAWSError(
            f"checkpoint cannot be read ({reason})",
            where=str(path),
            next_step="Delete it, and --resume goes back to the state before it",
        ) from error
    version = payload.get("format_version")
    if version != FORMAT_VERSION:
        raise NeuroAWSError(
            f"checkpoint has format {version}, not {FORMAT_VERSION}", where=str(path)
        )
    return payload
