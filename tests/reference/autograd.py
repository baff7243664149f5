"""The same maths by autograd: the reference that written-out rules are held against.

Nothing here is shared with the rules under test beyond the network's weights: activity is
recomputed from the recorded noise with differentiable torch functions.
"""

import torch
from torch import Tensor

from neuro_aws.network import Network
from neuro_aws.state import NetworkState

PHI = {
    "relu": torch.relu,
    "leaky_relu": lambda a: torch.where(a > 0, a, 0.1 * a),
    "softplus": torch.nn.functional.softplus,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": lambda a: a,
}


def psi(kind: str, normalisation: str, a: Tensor, first: bool = False) -> Tensor:
    """psi(a) = N(phi(a)), or phi(N(a))."""

    def norm(v: Tensor) -> Tensor:
        if normalisation == "none":
            return v
        squares = v**2
        pool = (
            squares.mean(-1, keepdim=True)
            if normalisation == "rms"
            else squares.sum(-1, keepdim=True)
        )
        return v / torch.sqrt(pool + 1e-8)

    return PHI[kind](norm(a)) if first else norm(PHI[kind](a))


def of(psi_object: object) -> tuple[str, str, bool]:
    """Return the plain settings of a Psi."""
    return psi_object.transfer.name, psi_object.normalisation, psi_object.normalise_first  # type: ignore[attr-defined]


def discriminator(weights: tuple, states: list[Tensor]) -> Tensor:
    """D of each sample, hidden LeakyReLU 0.1, pair by pair."""
    joint, bias, readout = weights
    hidden = bias.shape[0] // len(joint)
    total = torch.zeros(states[0].shape[:-1], dtype=states[0].dtype)
    for i, w in enumerate(joint):
        own = slice(i * hidden, (i + 1) * hidden)
        u = torch.cat([states[i], states[i + 1]], -1) @ w.T + bias[own]
        total = total + torch.where(u > 0, u, 0.1 * u) @ readout[own]
    return total


def penalty(weights: tuple, states: list[Tensor], weight: float) -> Tensor:
    """lambda * mean (||g||_2 - 1)^2 by differentiating twice."""
    inputs = [h.detach().clone().requires_grad_() for h in states]
    level = discriminator(weights, inputs).sum()
    gradients = torch.autograd.grad(level, inputs, create_graph=True)
    norm = torch.sqrt(sum((g**2).sum(-1) for g in gradients) + 1e-12)
    return weight * ((norm - 1) ** 2).mean()


def kl(top: Tensor) -> Tensor:
    """KL of the batch's mean and unbiased variance to N(0, 1), summed over units."""
    mean, var = top.mean(0), top.var(0)
    return 0.5 * (var + mean**2 - 1 - torch.log(var + 1e-12)).sum()


def replay(
    network: Network, state: NetworkState, weights: list[Tensor], detach: bool
) -> list[Tensor]:
    """h_0 ... h_N of a wake step from given feedforward weights and the step's own noise.

    ``detach`` cuts the graph between layers: each layer's gradient is its own.
    """
    somata = [state.layers[0].soma]
    carried = somata[0]
    for i, layer in enumerate(network.layers):
        there = state.layers[i + 1]
        below = carried.detach() if detach else carried
        a = below @ weights[2 * i].T + weights[2 * i + 1]
        if there.xi is not None:
            a = a + network.sigma * there.xi
        h = psi(*of(layer.psi_above)[:2], a)
        if there.gain is not None:
            h = h * there.gain
        somata.append(h)
        carried = h
        if there.transmitted is not there.soma:
            carried = torch.where(there.soma > 0, h, there.transmitted)
    return somata


FLOOR = 1e-4


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """||a - b|| / ||b||; below ||b|| = 1e-4, where cancellation leaves rounding only, over 1e-4."""
    return float((found - wanted).norm()) / max(float(wanted.norm()), FLOOR)
