"""The readout discriminator R on h_{N-1}: separates stimuli from dreams passed up again (Eq. 5)."""

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
