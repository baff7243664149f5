"""What an animal can see: stimuli to train on, and held-out ones for measuring."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.protocol.arrays import Scale, StimulusArrays, check_arrays, held_out_count
from neuro_aws.protocol.files import decoding
from neuro_aws.rng import DATASET, numpy_generator

CHUNK = 4096
"""Images converted at a time, to bound memory."""


@dataclass(frozen=True)
class Dataset:
    """Stimuli as rows in [-1, 1]; labels are 0-based, or None where there are none.

    ``shape`` is one eye's picture (height, width); ``eyes`` pictures stand in a row one after
    the other. Of a picture with ``channels``, those of one pixel stand side by side.
    """

    train: Tensor
    train_labels: Tensor | None
    held_out: Tensor
    held_out_labels: Tensor | None
    shape: tuple[int, int]
    eyes: int = 1
    channels: int = 1
    label_names: tuple[str, ...] = ()
    """What the labels 0, 1, ... are called, where they have names."""

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        held_out_images: ArrayLike | None = None,
        held_out_labels: ArrayLike | None = None,
        *,
        held_out: int | None = None,
        scale: Scale | None = None,
        animal: int = 0,
        dtype: torch.dtype = torch.float32,
        where: str = "images",
    ) -> "Dataset":
        """Return arrays as stimuli, by the rules of ``source: array``.

        Images are (n, pixels), (n, height, width) or (n, height, width, channels); labels whole
        numbers from 0. uint8 becomes x / 127.5 - 1, floats must lie in [-1, 1], or ``scale`` =
        (low, high) says what becomes -1 and 1. Without ``held_out_images``, ``held_out`` images
        (default: a fifth) are drawn for the animal and kept out. ``where`` begins a refusal.
        """
        given = (images, labels, held_out_images, held_out_labels)
        with decoding(where, "are no arrays", "Give arrays of numbers, all rows of one length"):
            arrays = StimulusArrays(*(None if a is None else np.asarray(a) for a in given))  # type: ignore[arg-type]
        facts = check_arrays(arrays, held_out, scale, where)
        count = len(arrays.images)
        if arrays.held_out_images is not None:
            sources = (arrays.images, arrays.labels, arrays.held_out_images, arrays.held_out_labels)
            chosen = (np.arange(count), np.arange(len(arrays.held_out_images)))
        else:
            sources = (arrays.images, arrays.labels, arrays.images, arrays.labels)
            order = numpy_generator(animal, DATASET).permutation(count)
            kept = held_out_count(count, held_out)
            chosen = (order[kept:], order[:kept])
        high, wide, channels = facts.picture or (1, facts.pixels, 1)
        return cls(
            _rows(sources[0], chosen[0], scale, dtype),
            _labels(sources[1], chosen[0]),
            _rows(sources[2], chosen[1], scale, dtype),
            _labels(sources[3], chosen[1]),
            (high, wide),
            channels=channels,
        )

    def sample(self, draws: Draws, batch: int) -> tuple[Tensor, Tensor | None]:
        """Return a batch (batch, pixels) with its labels, drawn with replacement."""
        chosen = draws.integers(len(self.train), (batch,))
        labels = None if self.train_labels is None else self.train_labels.index_select(0, chosen)
        return self.train.index_select(0, chosen), labels


def _rows(
    images: NDArray[Any], chosen: NDArray[np.int64], scale: Scale | None, dtype: torch.dtype
) -> Tensor:
    """Return the chosen images as rows in [-1, 1], computed in float64."""
    rows = torch.empty((len(chosen), int(np.prod(images.shape[1:]))), dtype=dtype)
    for start in range(0, len(chosen), CHUNK):
        part = images[chosen[start : start + CHUNK]].reshape(-1, rows.shape[1]).astype(np.float64)
        if scale is not None:
            part = (part - scale[0]) / (scale[1] - scale[0]) * 2 - 1
        elif images.dtype == np.uint8:
            part = part / 127.5 - 1
        rows[start : start + CHUNK] = torch.from_numpy(part)
    return rows


def _labels(labels: NDArray[Any] | None, chosen: NDArray[np.int64]) -> Tensor | None:
    return None if labels is None else torch.from_numpy(labels[chosen].astype(np.int64))


def binarised(pixels: Tensor) -> Tensor:
    """Return pixels rounded to -1 or 1."""
    return torch.where(pixels > 0, 1.0, -1.0).to(pixels)
