"""Maps and rows: (batch, channels, height, width) seen as (batch, units), and back.

Maps lie in memory with the channels last, so that both views share it. Dense activity is left as
it is.
"""

import torch
from torch import Tensor


def rows(h: Tensor) -> Tensor:
    """Return maps as rows of units, position by position; rows as they are."""
    return h.permute(0, 2, 3, 1).flatten(1) if h.dim() == 4 else h


def like(row: Tensor, h: Tensor) -> Tensor:
    """Return rows of units in the shape of ``h``."""
    if h.dim() != 4:
        return row
    batch, channels, high, wide = h.shape
    return row.view(batch, high, wide, channels).permute(0, 3, 1, 2)


def last(h: Tensor) -> Tensor:
    """Return maps with their channels last in memory."""
    return h.contiguous(memory_format=torch.channels_last) if h.dim() == 4 else h


def per_sample(number: Tensor, h: Tensor) -> Tensor:
    """Return one number a sample (..., batch) in a shape that multiplies ``h``."""
    return number.reshape(*number.shape, *[1] * (h.dim() - number.dim()))


def by_unit(activity: Tensor) -> Tensor:
    """Return the mean over the batch of each unit; of each channel, where layers are maps."""
    return activity.mean((0, 2, 3)) if activity.dim() == 4 else activity.mean(0)
