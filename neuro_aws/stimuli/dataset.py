"""What an animal can see: stimuli of its life, and held-out ones for measuring."""

from dataclasses import dataclass

import torch
from torch import Tensor

from neuro_aws.functional.noise import Draws


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

    def sample(self, draws: Draws, batch: int) -> tuple[Tensor, Tensor | None]:
        """Return a batch (batch, pixels) with its labels, drawn with replacement."""
        chosen = draws.integers(len(self.train), (batch,))
        labels = None if self.train_labels is None else self.train_labels[chosen]
        return self.train[chosen], labels


def binarised(pixels: Tensor) -> Tensor:
    """Return pixels rounded to -1 or 1."""
    return torch.where(pixels > 0, 1.0, -1.0).to(pixels)
