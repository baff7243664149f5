"""Gated units (GRU) over a sequence: one step, all steps, and what drives their candidates.

    r_t = sigmoid(W_r x_t + b_r + U_r h_{t-1} + c_r)          reset gate
    z_t = sigmoid(W_z x_t + b_z + U_z h_{t-1} + c_z)          update gate
    a_t = W_n x_t + b_n + r_t (U_n h_{t-1} + c_n)             potential of the candidate
    h_t = (1 - z_t) tanh(a_t) + z_t h_{t-1},   h_0 = 0

Cho et al. 2014, in the form of ``torch.nn.GRU``, which computes it. Sequences are (batch, time,
units). A unit's weights stand together: W (units, 3, inputs), U (units, 3, units), biases
(units, 3), the three in the order r, z, n.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Gates(NamedTuple):
    """W, U, b, c as torch has them: gate by gate, (3 units, inputs) and (3 units)."""

    inputs: Tensor
    lateral: Tensor
    input_bias: Tensor
    lateral_bias: Tensor

    @classmethod
    def by_unit(
        cls, inputs: Tensor, input_bias: Tensor, lateral: Tensor, lateral_bias: Tensor
    ) -> "Gates":
        """Return weights that stand unit by unit."""
        w, u = (t.transpose(0, 1).flatten(0, 1) for t in (inputs, lateral))
        return cls(w, u, *(t.transpose(0, 1).flatten() for t in (input_bias, lateral_bias)))

    @property
    def units(self) -> int:
        """Return the number of gated units."""
        return self.lateral.shape[1]


def run(x: Tensor, *directions: Gates) -> Tensor:
    """Return h_1 ... h_T for inputs x_1 ... x_T (batch, T, inputs).

    With two sets of weights the second runs from the end to the start of the sequence, and both
    states of a step are joined.
    """
    before = x.new_zeros(len(directions), len(x), directions[0].units)
    weights = [tensor for gates in directions for tensor in gates]
    both = len(directions) == 2
    found: Tensor = torch.gru(x, before, weights, True, 1, 0.0, False, both, True)[0]
    return found


def step(x: Tensor, before: Tensor, gates: Gates) -> Tensor:
    """Return h_t for x_t (batch, inputs) and h_{t-1} (batch, units)."""
    return torch.gru_cell(x, before, *gates)


def potentials(x: Tensor, before: Tensor, gates: Gates) -> Tensor:
    """Return a_1 ... a_T for x_1 ... x_T and h_0 ... h_{T-1}, all at once."""
    driven = torch.nn.functional.linear(x, gates.inputs, gates.input_bias)
    carried = torch.nn.functional.linear(before, gates.lateral, gates.lateral_bias)
    n = gates.units
    reset = torch.sigmoid(driven[..., :n] + carried[..., :n])
    return driven[..., 2 * n :] + reset * carried[..., 2 * n :]


def delayed(sequence: Tensor) -> Tensor:
    """Return a sequence one step later: zeros, then all but its last element."""
    return torch.cat([torch.zeros_like(sequence[:, :1]), sequence[:, :-1]], 1)


def drawn(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Return one symbol of each row (..., symbols) as 0 and 1, by uniform numbers (...)."""
    edges = probabilities.cumsum(-1)
    chosen = (edges < uniform.unsqueeze(-1) * edges[..., -1:]).sum(-1)
    return torch.nn.functional.one_hot(chosen, probabilities.shape[-1]).to(probabilities.dtype)


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """Return the steps of a sequence, each (batch, units), as (batch, time, units)."""
    return torch.stack(list(parts), 1)
