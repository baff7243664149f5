"""Images of bytes as numbers in [-1, 1], at the size a network wants; done once and kept."""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

CHUNK = 4096
"""Images resized at a time, to bound memory."""

CACHE_VARIABLE = "NEURO_AWS_CACHE"
"""Environment variable: where resized data sets are kept; default ~/.cache/neuro-aws."""

WORTH_BYTES = 5_000_000
"""Smaller results are not kept."""

MOST = 1.001
"""Largest value of a resized image, but for rounding."""

log = logging.getLogger("neuro_aws")


def resized(images: Tensor, side: int) -> Tensor:
    """Return (n, channels, side, side) float32 of x / 127.5 - 1; ``images`` are bytes, square.

    A side that divides the original averages blocks of pixels; any other resizes bilinearly, with
    antialiasing.
    """
    original = images.shape[-1]
    block = original // side if original % side == 0 else 0
    parts = []
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].float().div_(127.5).sub_(1)
        if block > 1:
            part = avg_pool2d(part, block)
        elif block == 0:
            part = interpolate(part, (side, side), mode="bilinear", antialias=True)
        parts.append(part)
    return torch.cat(parts)


def cached(images: NDArray[np.uint8], side: int) -> Tensor:
    """Return ``resized`` of the images, from the cache if they have been resized before."""
    count, channels, original, _ = images.shape
    tensor = torch.from_numpy(images.copy())
    if side == original or count * channels * side * side * 4 < WORTH_BYTES:
        return resized(tensor, side)
    path = cache_folder() / f"{hashlib.sha256(images.tobytes()).hexdigest()[:24]}-{side}.npy"
    kept = _kept(path, (count, channels, side, side))
    if kept is not None:
        return torch.from_numpy(kept)
    made = resized(tensor, side)
    _keep(path, made.numpy())
    return made


def cache_folder() -> Path:
    """Return the folder of what is made once and kept."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "neuro-aws"


def _kept(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Return what was kept; None where there is nothing, or something else: it is made anew."""
    if not path.is_file():
        return None
    try:
        kept: NDArray[np.float32] = np.load(path)
        fits = kept.shape == shape and kept.dtype == np.float32
        return kept if fits and float(np.abs(kept).max()) <= MOST else None
    except Exception:  # a broken file may raise anything
        return None


def _keep(path: Path, array: NDArray[np.float32]) -> None:
    """Write the array under its name in one step; without a place to keep it, go on without."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            np.save(handle, array)
        temporary.replace(path)
    except OSError as error:
        log.warning("resized images are not kept (%s)", error)
        temporary.unlink(missing_ok=True)
