"""scikit-learn's 8 x 8 digits: 1,797 real images that come with the library."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from neuro_aws.protocol.stimuli_built_in import Digits
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset

GREY_LEVELS = 8.0
"""Pixels are 0 ... 16; x / 8 - 1 puts them in [-1, 1]."""


@cache
def rows() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the images, 64 pixels a row, and their labels, as ``load_digits`` does.

    Of the library's own file: importing the library takes as long as importing torch, and each
    process of a run would.
    """
    library = find_spec("sklearn")
    if library is not None and library.origin is not None:
        file = Path(library.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits  # wherever it keeps them

    images, labels = load_digits(return_X_y=True)
    return np.asarray(images), np.asarray(labels)


def digits(section: Digits, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the digits, split at random for each animal into training and held-out ones."""
    images, labels = rows()
    order = numpy_generator(animal, DATASET).permutation(len(images))
    if section.classes is not None:
        order = order[np.isin(labels[order], section.classes)]
    pixels = images[order] / GREY_LEVELS - 1
    classes = labels[order].astype(np.int64)
    x: Tensor = torch.from_numpy(pixels).to(dtype)
    y: Tensor = torch.from_numpy(classes)
    side = section.side
    if side != 8:
        large = (side, side)
        x = interpolate(x.view(-1, 1, 8, 8), large, mode="bilinear", align_corners=False).flatten(1)
    n = section.held_out
    return Dataset(x[n:], y[n:], x[:n], y[:n], (side, side))
