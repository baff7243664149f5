"""Normalisation over the batch, forward and back, and the running statistics it leaves behind."""

from typing import NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.double_backward import BatchNormed

EPSILON = 1e-5
"""Keeps a channel that never varies from dividing by zero (squared potential)."""

MOMENTUM = 0.1
"""Weight of one step in the running statistics."""


class Normed(NamedTuple):
    """What the way back needs: the raw drive, each channel's mean and 1 / sqrt(var + 1e-5).

    ``becomes`` are running statistics (mean, variance) after the step, where they are known with
    it; ``through`` says whether gradients go through the statistics, as they do over a batch.
    """

    raw: Tensor
    mean: Tensor
    inverse_deviation: Tensor
    becomes: tuple[Tensor, Tensor] | None = None
    through: bool = True


def normalise(raw: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor, Normed]:
    """Return scale * (v - mean) / sqrt(var + 1e-5) + shift, over batch and positions of a channel.

    ``raw`` v is (batch, channels, height, width) or (batch, units); mean and (biased) variance are
    the batch's own.
    """
    if torch.is_grad_enabled() and raw.requires_grad:
        found = BatchNormed.apply(raw, scale, shift, EPSILON)  # type: ignore[no-untyped-call]
    else:
        found = torch.native_batch_norm(raw, scale, shift, None, None, True, 0.0, EPSILON)
    value, mean, inverse = found
    return value, Normed(raw, mean, inverse)


def back(
    signal: Tensor, normed: Normed, scale: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients at v, at scale and at shift, given the one at the normalised value.

    A channel reads two numbers of its own beside its signal: that signal's mean over the batch, and
    its correlation with what the channel fired.
    """
    wanted = [True, scale is not None, scale is not None]
    at_raw, at_scale, at_shift = torch.ops.aten.native_batch_norm_backward(
        signal, normed.raw, scale, None, None, normed.mean, normed.inverse_deviation, True, EPSILON,
        wanted,
    )  # fmt: skip
    return at_raw, at_scale, at_shift


def track(mean: Tensor, variance: Tensor, normed: Normed, rate: float = MOMENTUM) -> None:
    """Move running mean and (unbiased) variance toward this batch's, in place."""
    raw = normed.raw
    count = raw.numel() // raw.shape[1]
    biased = normed.inverse_deviation.detach().square().reciprocal() - EPSILON
    mean.lerp_(normed.mean.detach(), rate)
    variance.lerp_(biased * (count / (count - 1)), rate)
