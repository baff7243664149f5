"""Whole images from a folder of the user's own, with a sub-folder for each class or without."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.protocol.data import refuse_missing
from neuro_aws.protocol.image_folders import class_folders, image_groups
from neuro_aws.protocol.stimuli_from_files import Images
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset
from neuro_aws.stimuli.photographs import colour, grey


def images(section: Images, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the images, cropped to a square, resized, x / 127.5 - 1; labels by sub-folder."""
    refuse_missing(section)
    groups = image_groups(section)
    files = [file for group in groups for file in group]
    order = numpy_generator(animal, DATASET).permutation(len(files))
    rows = np.stack([_row(files[i], section) for i in order])
    x = torch.from_numpy(rows).to(dtype)
    n = section.held_out
    shape, channels = (section.side, section.side), section.channels
    if not section.class_folders:
        return Dataset(x[n:], None, x[:n], None, shape, channels=channels)
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    y = torch.from_numpy(labels[order].astype(np.int64))
    names = tuple(path.name for path in class_folders(section.folder))
    return Dataset(x[n:], y[n:], x[:n], y[:n], shape, channels=channels, label_names=names)


def _row(file: Path, section: Images) -> NDArray[np.float64]:
    read = grey if section.channels == 1 else colour
    return read(file, section.side).ravel() / 127.5 - 1
