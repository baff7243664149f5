"""Whole images from a folder of the user's own."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.stimulus import Images
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset
from neuro_aws.stimuli.photographs import colour, grey, image_files


def images(section: Images, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the images, cropped to a square, resized, x / 127.5 - 1."""
    files = image_files(section.folder)
    if len(files) < section.held_out + 2:
        raise NeuroAWSError(
            f"{len(files)} images, but {section.held_out} are to be held out",
            where=f"stimulus.folder: {section.folder}",
            next_step="Add images or lower stimulus.held_out",
        )
    order = numpy_generator(animal, DATASET).permutation(len(files))
    rows = np.stack([_row(files[i], section) for i in order])
    x = torch.from_numpy(rows).to(dtype)
    n = section.held_out
    shape, channels = (section.side, section.side), section.channels
    return Dataset(x[n:], None, x[:n], None, shape, channels=channels)


def _row(file: Path, section: Images) -> NDArray[np.float64]:
    read = grey if section.channels == 1 else colour
    return read(file, section.side).ravel() / 127.5 - 1
