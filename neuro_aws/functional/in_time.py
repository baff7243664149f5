"""Sequences as maps: a unit's activity over time is a map of one column, its rows are the steps.

Maps are (batch, units, time, 1), sequences (batch, time, units). Maps with the channels last in
memory and sequences share it.
"""

import torch
from torch import Tensor

from neuro_aws.functional.shapes import last


def times(maps: Tensor) -> Tensor:
    """Return maps as sequences."""
    return maps.squeeze(-1).transpose(1, 2)


def maps(sequence: Tensor) -> Tensor:
    """Return sequences as maps."""
    return last(sequence.transpose(1, 2).unsqueeze(-1))


def of_rows(rows: Tensor, units: int) -> Tensor:
    """Return rows of units, step by step, as sequences."""
    return rows.view(len(rows), -1, units)


def negative_log_likelihood(logits: Tensor, symbols: Tensor) -> Tensor:
    """Return -log P(y_t) of every step (batch, time), nats, for symbols of 0 and 1."""
    return -(torch.log_softmax(logits, -1) * symbols).sum(-1)
