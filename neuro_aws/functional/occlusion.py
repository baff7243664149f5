"""Square tiles that hide parts of pictures."""

from typing import NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.noise import NoiseSource


class Picture(NamedTuple):
    """Height and width in pixels, and channels, of a stimulus that is one picture."""

    high: int
    wide: int
    channels: int = 1


def hidden_by_tiles(
    noise: NoiseSource,
    batch: int,
    picture: Picture,
    largest: int,
    *,
    smallest: int = 1,
    rate: float | None = None,
) -> Tensor:
    """Return which pixels of each picture are hidden: (batch, high, wide), bool.

    A picture is cut into tiles from its upper left corner on, their side drawn from ``smallest``
    to ``largest`` pixels; each tile is hidden with a probability of ``rate``, or one that is drawn
    from 0 to 1 (None). Every picture has a side, a rate and tiles of its own.
    """
    one = torch.Size((batch, 1, 1))
    rates = noise.uniform(one) if rate is None else rate
    sides = smallest + (noise.uniform(one) * (largest - smallest + 1)).floor().long()
    sides = sides.clamp(max=largest)  # a draw that is rounded up to 1
    rows = torch.arange(picture.high, device=sides.device).view(1, -1, 1) // sides
    columns = torch.arange(picture.wide, device=sides.device).view(1, 1, -1) // sides
    tile = (rows * picture.wide + columns).flatten(1)
    drawn = noise.uniform(torch.Size((batch, picture.high * picture.wide)))
    return drawn.gather(1, tile).view(batch, picture.high, picture.wide) < rates


def occluded(stimuli: Tensor, hidden: Tensor, picture: Picture, level: float = 0.0) -> Tensor:
    """Return stimuli whose hidden pixels have a grey ``level``, in all their channels.

    ``stimuli`` are rows of pixels, channels last, or maps (batch, channels, high, wide).
    """
    if stimuli.dim() == 4:
        return stimuli.masked_fill(hidden.unsqueeze(1), level)
    pixels = stimuli.view(len(stimuli), picture.high, picture.wide, picture.channels)
    return pixels.masked_fill(hidden.unsqueeze(-1), level).flatten(1)
