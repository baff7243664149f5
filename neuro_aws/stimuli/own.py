"""Stimuli that a function of the user's own makes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.files import decoding
from neuro_aws.protocol.own_code import called
from neuro_aws.protocol.stimulus import OwnStimulus
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset

RETURN = "Return arrays: images in [-1, 1], one row or picture each, and whole numbers as labels"


def own(section: OwnStimulus, animal: int, dtype: torch.dtype) -> Dataset:
    """Return what the function makes of its options, or say what is wrong with it."""
    given = called(section.loaded(), section.options, numpy_generator(animal, DATASET))
    if not isinstance(given, tuple | list) or len(given) not in (2, 4):
        raise NeuroAWSError(
            "returns neither (images, held_out) nor (images, held_out, labels, held_out_labels)",
            where=section.source,
        )
    images, held_out = (_images(part, section, dtype) for part in given[:2])
    labels: list[Tensor | None] = [None, None]
    if section.labels:
        if len(given) == 2:
            raise NeuroAWSError(
                f"returns no labels, and stimulus.labels says {section.labels}",
                where=section.source,
            )
        labels = [
            _labels(part, section, len(x))
            for part, x in zip(given[2:], (images, held_out), strict=True)
        ]
    height, width, channels = section.picture or (1, section.pixels, 1)
    return Dataset(images, labels[0], held_out, labels[1], (height, width), channels=channels)


def _images(given: Any, section: OwnStimulus, dtype: torch.dtype) -> Tensor:
    with decoding(section.source, "returns no array of numbers", RETURN):
        found = np.asarray(given)
        if found.dtype.kind not in "biuf":
            raise NeuroAWSError(
                f"returns {found.dtype}, not real numbers",
                where=section.source,
                next_step=RETURN,
            )
        x = found.astype(np.float64)
    if x.ndim < 2 or len(x) < 2 or x[0].size != section.pixels:
        wanted = " x ".join(map(str, section.shape))
        raise NeuroAWSError(
            f"returns an array of {' x '.join(map(str, x.shape))}; wanted: images x {wanted}",
            where=section.source,
        )
    if not np.isfinite(x).all() or np.abs(x).max() > 1:
        raise NeuroAWSError("returns values that do not lie in -1 to 1", where=section.source)
    return torch.from_numpy(x.reshape(len(x), -1)).to(dtype)


def _labels(given: Any, section: OwnStimulus, count: int) -> Tensor:
    with decoding(section.source, "returns labels that are no array", RETURN):
        labels = np.asarray(given)
    whole = labels.shape == (count,) and np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min() < 0 or labels.max() >= section.labels:
        raise NeuroAWSError(
            f"returns labels that are not {count} whole numbers from 0 to {section.labels - 1}",
            where=section.source,
        )
    return torch.from_numpy(labels.astype(np.int64))
