"""Interneurons as local discriminators: what they say, and how they learn. No autograd.

The interneurons of one group read a layer's activity h and its input, the layer below (x). Each is
a unit with a sigmoid rate, and casts a fixed vote s = +1 or -1:

    a_m = u_m . [x; h; 1]        q_m = sigmoid(a_m)           E = sum_m s_m softplus(a_m)

As softplus' = sigmoid, the gradient of E is made of rates alone:

    dE/du_m = s_m q_m [x; h; 1]         postsynaptic rate times presynaptic rate
    dE/dh   = sum_m s_m q_m u_m         what the votes say to the layer

All activity is (..., batch, units), dimensionless rates.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.plasticity import batch_of


class Interneurons(NamedTuple):
    """The weights of one group: u_m is a row of ``below``, one of ``own`` and one number ``bias``.

    below (M, units below), own (M, units of the layer), bias (M): thresholds; votes (M), fixed.
    """

    below: Tensor
    own: Tensor
    bias: Tensor
    votes: Tensor

    def rates(self, below: Tensor, own: Tensor) -> Tensor:
        """Return q of each sample and interneuron (..., batch, M)."""
        return torch.sigmoid(self._potentials(below, own))

    def evidence(self, below: Tensor, own: Tensor) -> Tensor:
        """Return E of each sample (..., batch): high where it looks like wake."""
        return torch.nn.functional.softplus(self._potentials(below, own)) @ self.votes

    def teaching(self, rates: Tensor) -> Tensor:
        """Return dE/dh = sum_m s_m q_m u_m (..., batch, units of the layer)."""
        return (rates * self.votes) @ self.own

    def _potentials(self, below: Tensor, own: Tensor) -> Tensor:
        return torch.addmm(self.bias + below @ self.below.mT, own, self.own.mT)


def votes(count: int, opposed: float, like: Tensor) -> Tensor:
    """Return +1 for the first interneurons and -1 for the last, a share of ``opposed``."""
    found = torch.ones(count, dtype=like.dtype, device=like.device)
    found[count - round(count * opposed) :] = -1
    return found


def hebbian_plasticity(
    group: Interneurons,
    rates: Tensor,
    below: Tensor,
    own: Tensor,
    sign: float,
    scaling: float,
    length: float,
) -> list[Tensor]:
    """Tell wake from REM: Hebbian in one phase, anti-Hebbian in the other.

        wake   du_m = + s_m < q_m [x; h; 1] > - scaling (|u_m|^2 - length^2) u_m
        REM    du_m = - s_m < q_m [x; h; 1] > - scaling (|u_m|^2 - length^2) u_m

    < > is the batch mean. Symbols, in order: ``sign`` = +1 in wake, -1 in REM; s_m = votes; q_m =
    ``rates``; x, h = ``below``, ``own``; u_m the interneuron's own weights and threshold. Together
    the two climb <E>_wake - <E>_REM, while synaptic scaling keeps |u_m| near ``length``, so that E
    stays bounded. Returns the changes of below, own and bias. Local to the synapse (its two rates,
    its weight), plus one number of its own cell (|u_m|^2).
    """
    signed = (rates * group.votes) * (sign / batch_of(own))
    squares = group.below.square().sum(-1) + group.own.square().sum(-1) + group.bias.square()
    pull = scaling * (squares - length * length)
    return [
        torch.addcmul(signed.mT @ below, pull.unsqueeze(-1), group.below, value=-1),
        torch.addcmul(signed.mT @ own, pull.unsqueeze(-1), group.own, value=-1),
        torch.addcmul(signed.sum(-2), pull, group.bias, value=-1),
    ]
