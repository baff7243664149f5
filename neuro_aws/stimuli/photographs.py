"""Photographs as arrays: scikit-learn's own two, and image files, grey or in colour."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuro_aws.stimuli.image_file import open_image

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def embedded() -> list[NDArray[np.float64]]:
    """Return the two photographs that scikit-learn ships, grey, 0 ... 255."""
    from sklearn.datasets import load_sample_images

    return [np.asarray(image, dtype=np.float64) @ LUMA for image in load_sample_images().images]


def grey(file: Path, side: int | None = None) -> NDArray[np.float64]:
    """Return one image in grey, 0 ... 255; ``side`` crops its middle square and resizes that."""
    return _opened(file, "L", side)


def colour(file: Path, side: int) -> NDArray[np.float64]:
    """Return the middle square of one image, resized: (side, side, 3), 0 ... 255."""
    return _opened(file, "RGB", side)


def _opened(file: Path, mode: str, side: int | None) -> NDArray[np.float64]:
    with open_image(file) as found:
        image = found.convert(mode)
        if side is not None:
            edge = min(image.size)
            left, top = (image.width - edge) // 2, (image.height - edge) // 2
            box = (left, top, left + edge, top + edge)
            image = image.resize((side, side), Image.Resampling.BOX, box=box)
        return np.asarray(image, dtype=np.float64)
