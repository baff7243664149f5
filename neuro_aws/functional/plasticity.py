"""The local learning rules, written out. None of them uses autograd.

Each returns a Delta: the direction of the update, batch mean taken, WITHOUT the rate eta, which
the optimiser applies. All activities are (..., batch, units), dimensionless rates; weights are
(..., post, pre); leading dimensions, if any, are separate networks.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.compartments import Fired, Psi, pull_back

Density = Literal["gaussian", "laplacian"]


class WeightDelta(NamedTuple):
    """Change of one projection per unit of rate: weight (..., post, pre) and bias (..., post)."""

    weight: Tensor
    bias: Tensor


def outer(post: Tensor, pre: Tensor, sign: float = 1.0) -> WeightDelta:
    """Return sign * mean over the batch of post pre^T, and of post (the bias sees a constant 1)."""
    share = post * (sign / post.shape[-2])
    return WeightDelta(share.mT @ pre, share.sum(-2))


def predictive_plasticity(
    target: Tensor, fired: Fired, psi: Psi, presynaptic: Tensor, density: Density = "gaussian"
) -> WeightDelta:
    """Make a compartment predict the rate its soma fires.

    Feedback in wake (Eq. 2, ascent on U):   dG_i = + eta_G < (h_i - d_i) psi'(.) h_{i+1}^T >
    Feedforward in REM (classic Wake-Sleep): dF_i = + eta_F < (h_{i+1} - psi(a_i)) psi'(a_i) h_i^T >

    < > is the batch mean. Symbols, in order: h_i = ``target`` (somatic rate), d_i = ``fired.rate``
    (the compartment's prediction of it), psi' = ``psi`` at ``fired.potential``, h_{i+1} =
    ``presynaptic``. ``density: laplacian`` puts sign(h_i - d_i) in place of the difference.
    Local: own soma, own compartment, own input, one pool scalar of the layer (normalisation).
    """
    error = target - fired.rate
    if density == "laplacian":
        error = torch.sign(error)
    return outer(pull_back(psi, error, fired), presynaptic)


def feedforward_plasticity(
    teach: Tensor, fired: Fired, psi: Psi, presynaptic: Tensor
) -> WeightDelta:
    """Lower what the discriminator reads, in wake (Eq. 3, F descends E_F[D]).

        dF_i = - eta_F * gate * < teach_{i+1} psi'(a_i) h_i^T >

    < > is the batch mean; the gate acts after the optimiser and is not in here. Symbols, in order:
    teach_{i+1} = ``teach`` (dD/dh of each unit, its credit), psi' = ``psi`` at ``fired.potential``,
    h_i = ``presynaptic``. Local to a layer, not to a synapse: teach is specific to the unit.
    """
    return outer(pull_back(psi, teach, fired), presynaptic, -1.0)


def three_factor_plasticity(level: Tensor, score: Tensor, presynaptic: Tensor) -> WeightDelta:
    """Lower what the discriminator reads, told one global number for each sample (Eq. 4).

        dF_i = - eta_F * gate * < (ACh - baseline) * (xi / sigma) h_i^T >

    < > is the batch mean. Symbols, in order: ACh - baseline = ``level`` (..., batch), xi / sigma =
    ``score`` (the derivative of log p(a) by the mean potential, from the unit's own noise), h_i =
    ``presynaptic``. No psi': the score is that of the potential. Local to the synapse plus
    one global number.
    """
    return outer(level.unsqueeze(-1) * score, presynaptic, -1.0)
