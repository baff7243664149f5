"""The readout discriminator R on h_{N-1}: tells stimuli from dreams passed up again (Eq. 5)."""

import math

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import spread_of
from neuro_aws.functional.shapes import rows


def readout_level(state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return R(h) = w . [h, s] + b of each sample, s the mean standard deviation over the batch."""
    h = rows(state)
    return h @ weight[:-1] + spread_of(h).value * weight[-1] + bias


class Readout:
    """R(h) = w . [h, s] + b, s the spread of h over the batch (its mean standard deviation).

    ``penalty`` is lambda of mean (||grad_x R(F(x))||_2 - 1)^2.
    """

    def __init__(self, weight: Tensor, bias: Tensor, penalty: float) -> None:
        self.weight = weight
        self.bias = bias
        self.penalty = penalty

    @classmethod
    def born(
        cls, units: int, penalty: float, generator: torch.Generator, dtype: torch.dtype
    ) -> "Readout":
        """Return R at birth: weights N(0, 1 / fan_in), bias 0."""
        device, fan_in = generator.device, units + 1
        weight = torch.randn(fan_in, generator=generator, dtype=dtype, device=device)
        zero = torch.zeros((), dtype=dtype, device=device)
        return cls(weight / math.sqrt(fan_in), zero, penalty)

    @property
    def parameters(self) -> list[Tensor]:
        """Return weight and bias."""
        return [self.weight, self.bias]
