"""The local learning rules, written out. None of them uses autograd.

Each returns a Delta: the direction of the update, batch mean taken, WITHOUT the rate eta, which
the optimiser applies. All activities are (..., batch, units), or maps (batch, channels, height,
width); dimensionless rates. ``onto(post, pre, factor)`` puts a signal at the potentials, times what
came in, times a factor, onto the weights: ``outer`` in a dense layer, the sum over positions in a
convolution.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from neuro_aws.functional.compartments import Fired, Psi, pull_back
from neuro_aws.functional.shapes import per_sample

Density = Literal["gaussian", "laplacian", "bernoulli"]

Onto = Callable[[Tensor, Tensor, float], list[Tensor]]
"""(signal at the potentials, presynaptic activity, factor) -> change of each of the tensors."""


def outer(post: Tensor, pre: Tensor, factor: float = 1.0) -> list[Tensor]:
    """Return the sum over the batch of factor post pre^T, and of factor post (the bias sees 1).

    The factor is put where there are fewer numbers to multiply. Weights are (..., post, pre);
    leading dimensions, if any, are separate networks.
    """
    post = post * factor
    return [post.mT @ pre, post.sum(-2)]


def batch_of(activity: Tensor) -> int:
    """Return the number of samples."""
    return activity.shape[0] if activity.dim() == 4 else activity.shape[-2]


def predictive_plasticity(
    target: Tensor,
    fired: Fired,
    psi: Psi,
    presynaptic: Tensor,
    density: Density = "gaussian",
    onto: Onto = outer,
    factor: float = 1.0,
) -> list[Tensor]:
    """Make a compartment predict the rate its soma fires.

    Feedback in wake (Eq. 2, ascent on U):   dG_i = + eta_G < (h_i - d_i) psi'(.) h_{i+1}^T >
    Feedforward in REM (classic Wake-Sleep): dF_i = + eta_F < (h_{i+1} - psi(a_i)) psi'(a_i) h_i^T >

    < > is the batch mean. Symbols, in order: h_i = ``target`` (somatic rate), d_i = ``fired.rate``
    (the compartment's prediction of it), psi' = ``psi`` at ``fired.potential``, h_{i+1} =
    ``presynaptic``. ``density: laplacian`` puts sign(h_i - d_i) in place of the difference; for
    ``bernoulli`` units d_i is the probability sigmoid(a_i) and psi' drops out: (h_i - d_i)
    h_{i+1}^T.
    ``factor`` scales it (1 / units: the mean over a layer).
    Local: own soma, own compartment, own input, one pool scalar of the layer (normalisation).
    """
    scale = factor / batch_of(target)
    if density == "bernoulli":
        return onto((target - fired.value) * scale, presynaptic, 1.0)
    error = pull_back(psi, target, fired, "sign" if density == "laplacian" else "difference")
    return onto(error, presynaptic, scale)


def feedforward_plasticity(
    teach: Tensor, fired: Fired, psi: Psi, presynaptic: Tensor, onto: Onto = outer
) -> list[Tensor]:
    """Lower what the discriminator reads, in wake (Eq. 3, F descends E_F[D]).

        dF_i = - eta_F * gate * < teach_{i+1} psi'(a_i) h_i^T >

    < > is the batch mean; the gate acts after the optimiser and is not in here. Symbols, in order:
    teach_{i+1} = ``teach`` (dD/dh of each unit, its credit), psi' = ``psi`` at ``fired.potential``,
    h_i = ``presynaptic``. Local to a layer, not to a synapse: teach is specific to the unit.
    """
    return onto(pull_back(psi, teach, fired), presynaptic, -1.0 / batch_of(teach))


def three_factor_plasticity(
    level: Tensor, score: Tensor, presynaptic: Tensor, onto: Onto = outer
) -> list[Tensor]:
    """Lower what the discriminator reads, given one global number for each sample (Eq. 4).

        dF_i = - eta_F * gate * < (ACh - baseline) * (xi / sigma) h_i^T >

    < > is the batch mean. Symbols, in order: ACh - baseline = ``level`` (..., batch), xi / sigma =
    ``score`` (the derivative of log p(a) by the mean potential, from the unit's own noise), h_i =
    ``presynaptic``. No psi': the score is that of the potential. Local to the synapse plus
    one global number.
    """
    return onto(per_sample(level, score) * score, presynaptic, -1.0 / batch_of(score))
