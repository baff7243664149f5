"""What autoencoders share: a pass up to the top and down again, its error, and its gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from neuro_aws.algorithms.graph import detached, gradients, leaves_of
from neuro_aws.functional.compartments import Fired, fire
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import Delta, Deltas, LayerState, NetworkState, Tensors
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, WAKE


@dataclass(frozen=True, slots=True)
class Graph:
    """A wake step's error of each sample, with its graph, and the leaves it depends on."""

    leaves: dict[str, Tensors]
    error: Tensor


def with_way_down(network: Network, state: NetworkState, gains: Gains) -> NetworkState:
    """Return the state with d_i = psi(G_i d_{i+1}) in the dendrites, d_N = h_N.

    Each layer's dendrites predict from what those above predict, not from their somata. Gains act
    on what hidden units send down, as they act on somata.
    """
    layers = list(state.layers)
    sent = layers[-1].soma
    for i in range(network.depth - 1, -1, -1):
        layer, gain = network.layers[i], gains.get(i) if i else None
        potential, normed = layer.feedback_potential(sent)
        first = gain if network.gain_first else None
        dendrite = fire(layer.psi_predicted, potential, first)._replace(normed=normed)
        sent = dendrite.rate
        if gain is not None and not network.gain_first:
            sent = sent * gain
        s = layers[i]
        layers[i] = LayerState(s.soma, s.transmitted, s.drive, s.xi, s.gain, dendrite, s.previous)
    return NetworkState(state.phase, tuple(layers), state.passes, state.graph)


def error(target: Tensor, found: Fired, density: Density) -> Tensor:
    """Return the error of each sample, summed over its units.

    gaussian: |x - d|^2 / 2.   laplacian: sum |x - d|.   bernoulli: - sum t log p + (1 - t) log(1 -
    p), t = (1 + x) / 2, p = (1 + d) / 2, which is sigmoid(2 a) for a tanh at the bottom.
    """
    x = rows(target)
    if density == "bernoulli":
        logit = 2 * rows(found.potential)
        return (torch.nn.functional.softplus(logit) - (1 + x) / 2 * logit).sum(1)
    apart = x - rows(found.rate)
    return (apart.abs() if density == "laplacian" else apart.square() / 2).sum(1)


def errors(
    network: Network,
    shown: Tensor,
    wanted: Tensor,
    noise: NoiseSource,
    gains: Gains,
    density: Density,
) -> tuple[NetworkState, Tensor]:
    """Return the state that ``shown`` leads to, up and down, and its error from ``wanted``."""
    state = with_way_down(network, network.recognise(shown, noise, gains), gains)
    target = network.admit(wanted)
    if 0 in gains:
        target = target * gains[0]
    found = state.layers[0].dendrite
    assert found is not None
    return state, error(target, found, density)


def waking(
    network: Network,
    shown: Tensor,
    wanted: Tensor,
    noise: NoiseSource,
    gains: Gains,
    density: Density,
) -> NetworkState:
    """Return a wake step, with its error and the graph that F and G learn from."""
    with leaves_of(network, FEEDFORWARD, FEEDBACK) as leaves:
        state, found = errors(network, shown, wanted, noise, gains, density)
    return NetworkState(WAKE, detached(state).layers, graph=Graph(leaves, found))


def learning(state: NetworkState) -> Deltas:
    """Return dF and dG of a wake step: minus the gradient of its mean error."""
    graph = state.graph
    assert isinstance(graph, Graph)
    forward, back = gradients(-graph.error.mean(), graph.leaves, FEEDFORWARD, FEEDBACK)
    return {FEEDFORWARD: Delta(forward), FEEDBACK: Delta(back)}
