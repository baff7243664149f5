"""The same maths by autograd: the reference that written-out rules are held against.

Nothing here is shared with the rules under test beyond the network's weights and settings: activity is
recomputed from the recorded noise with differentiable torch functions.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import Form, Weights
from neuro_aws.model.network import Network
from neuro_aws.model.state import NetworkState

PHI = {
    "relu": torch.relu,
    "leaky_relu": lambda a: torch.where(a > 0, a, 0.1 * a),
    "leaky_relu_0.2": lambda a: torch.where(a > 0, a, 0.2 * a),
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


PLAIN = Form()


def discriminator(
    weights: Weights, states: list[Tensor], form: Form = PLAIN, xi: Tensor | None = None
) -> Tensor:
    """D of each sample: pair by pair, from the columns of W_i that each state owns."""
    pairs = len(states) - 1
    hidden = weights.bias.shape[0] // pairs
    spread = [torch.sqrt(h.var(0) + 1e-8).mean() for h in states] if form.spread else []
    parts = []
    for i in range(pairs):
        total = weights.bias[i * hidden : (i + 1) * hidden]
        for j in (i, i + 1):
            # A state inside is read by two pairs; the rows of the lower pair come first.
            own = slice(hidden, None) if j == i and i > 0 else slice(0, hidden)
            total = total + states[j] @ weights.reading[j][own].T
            if form.spread:
                total = total + spread[j] * weights.spread[j][own]
        parts.append(total)
    u = torch.cat(parts, -1)
    if xi is not None:
        u = u + form.sigma * xi
    z = torch.where(u > 0, u, form.slope * u)
    if form.pooled:
        z = z / torch.sqrt((z**2).mean(-1, keepdim=True) + 1e-8)
    level = z @ weights.readout
    return level + weights.offset[0] if weights.offset else level


def penalty(weights: Weights, states: list[Tensor], form: Form, xi: Tensor | None = None) -> Tensor:
    """The gradient penalty by differentiating twice; of every pair alone under ``scope: pair``."""
    if form.scope == "all":
        return _penalty(weights, states, form, xi)
    pairs, hidden = len(states) - 1, weights.bias.shape[0] // (len(states) - 1)
    total = torch.zeros((), dtype=states[0].dtype)
    for i in range(pairs):
        own = slice(i * hidden, (i + 1) * hidden)
        rows = [slice(hidden, None) if i > 0 else slice(0, hidden), slice(0, hidden)]
        at = list(zip((i, i + 1), rows, strict=True))
        alone = Weights(
            [weights.reading[j][r] for j, r in at],
            weights.bias[own],
            weights.readout[own],
            [weights.spread[j][r] for j, r in at] if form.spread else [],
            [],
        )
        noise = None if xi is None else xi[:, own]
        total = total + _penalty(alone, states[i : i + 2], form, noise)
    return total


def _penalty(weights: Weights, states: list[Tensor], form: Form, xi: Tensor | None) -> Tensor:
    inputs = [h.detach().clone().requires_grad_() for h in states]
    level = discriminator(weights, inputs, form, xi).sum()
    gradients = torch.autograd.grad(level, inputs, create_graph=True)
    if form.penalty_form == "l2":
        norm = torch.sqrt(sum((g**2).sum(-1) for g in gradients) + 1e-12)
        return form.penalty * ((norm - 1) ** 2).mean()
    excess = sum(g.abs().sum(-1) for g in gradients) - 1
    return form.penalty * (excess.abs() if form.penalty_form == "l1" else excess).mean()


def kl(top: Tensor) -> Tensor:
    """KL of the batch's mean and unbiased variance to N(0, 1), summed over units."""
    mean, var = top.mean(0), top.var(0)
    return 0.5 * (var + mean**2 - 1 - torch.log(var + 1e-12)).sum()


def replay(
    network: Network, state: NetworkState, weights: Mapping[str, Tensor], detach: bool
) -> list[Tensor]:
    """h_0 ... h_N of a wake step from given feedforward weights and the step's own noise.

    ``detach`` cuts the graph between layers: each layer's gradient is its own.
    """
    somata = [state.layers[0].soma]
    carried = somata[0]
    for i, layer in enumerate(network.layers):
        there = state.layers[i + 1]
        below = carried.detach() if detach else carried
        name = f"feedforward_into{i + 1}"
        a = below @ weights[name].T + weights[f"{name}_bias"]
        if there.xi is not None:
            a = a + network.noise.sigma * there.xi
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
