"""Photographs: scikit-learn's own two, an image, or a folder of images, as grey arrays."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_sample_images

from neuro_aws.errors import NeuroAWSError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".gif"}
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def embedded() -> list[NDArray[np.float64]]:
    """Return the two photographs that scikit-learn ships, grey, 0 ... 255."""
    return [np.asarray(image, dtype=np.float64) @ LUMA for image in load_sample_images().images]


def image_files(folder: str) -> list[Path]:
    """Return the image files of a folder, or the one file named, in alphabetical order."""
    path = Path(folder).expanduser()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NeuroAWSError(
            "no such image or folder",
            where=f"stimulus.folder: {folder}",
            next_step="Give a path relative to where you start the run, or an absolute one",
        )
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise NeuroAWSError(
            "holds no images",
            where=f"stimulus.folder: {folder}",
            next_step="Known suffixes: " + " ".join(sorted(SUFFIXES)),
        )
    return files


def grey(file: Path, side: int | None = None) -> NDArray[np.float64]:
    """Return one image in grey, 0 ... 255; ``side`` crops its middle square and resizes that."""
    return _opened(file, "L", side)


def colour(file: Path, side: int) -> NDArray[np.float64]:
    """Return the middle square of one image, resized: (side, side, 3), 0 ... 255."""
    return _opened(file, "RGB", side)


def _opened(file: Path, mode: str, side: int | None) -> NDArray[np.float64]:
    try:
        with Image.open(file) as opened:
            image = opened.convert(mode)
            if side is not None:
                edge = min(image.size)
                left, top = (image.width - edge) // 2, (image.height - edge) // 2
                box = (left, top, left + edge, top + edge)
                image = image.resize((side, side), Image.Resampling.BOX, box=box)
            return np.asarray(image, dtype=np.float64)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise NeuroAWSError(
            "is not a readable image",
            where=str(file),
            next_step="Repair it or move it out of the folder",
        ) from error
