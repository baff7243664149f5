"""What theories of recurrent networks share: teacher forcing with its graph, and free running."""

from dataclasses import dataclass

import torch
from torch import Tensor

from neuro_aws.algorithms.graph import detached, gradients, leaves_of
from neuro_aws.functional.in_time import negative_log_likelihood, times
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.recurrent import RecurrentNetwork
from neuro_aws.model.sequence_critic import SequenceCritic
from neuro_aws.model.state import (
    AcetylcholineSignal,
    Delta,
    Deltas,
    NetworkState,
    Tensors,
)
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL, NREM, WAKE, Phase

PORTION = 250
"""Sequences whose likelihood is computed at a time."""

GENERATOR = (FEEDFORWARD, FEEDBACK, LATERAL)
"""The kinds of projections of a recurrent network that predict: all but D."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A step that autograd differentiates through time: its leaves, its state, what was to come.

    ``symbols`` (batch, time, K) are what the dendrites were to predict; None: nothing.
    """

    leaves: dict[str, Tensors]
    state: NetworkState
    symbols: Tensor | None = None


def sequences(network: Network) -> RecurrentNetwork:
    """Return a network as a recurrent one."""
    assert isinstance(network, RecurrentNetwork)
    return network


def forced(
    network: Network, shown: Tensor, noise: NoiseSource, gains: Gains, wanted: Tensor
) -> NetworkState:
    """Return a wake step in which h_0 fires ``shown``, with what the likelihood needs."""
    with leaves_of(network, *GENERATOR) as leaves:
        state = network.with_dendrites(network.recognise(shown, noise, gains))
    graph = Graph(leaves, state, times(network.admit(wanted)))
    return NetworkState(Phase.WAKE, detached(state).layers, graph=graph)


def free(
    network: Network, count: int, phase: Phase, noise: NoiseSource | None, gains: Gains
) -> NetworkState:
    """Return a step of sleep: so many free runs."""
    one = sequences(network)
    with torch.no_grad():
        symbols = one.run_freely(count, one.gated.steps, noise, gains)
        return NetworkState(phase, one.ran(symbols, gains).layers)


def likelihood(graph: Graph) -> Tensor:
    """Return NLL: mean over sequences and steps of -log P(y_t | h_1(t)), nats a symbol."""
    dendrite = graph.state.layers[0].dendrite
    assert dendrite is not None
    assert graph.symbols is not None
    return negative_log_likelihood(times(dendrite.potential), graph.symbols).mean()


def climbed(graph: Graph, objective: Tensor) -> dict[str, Tensors]:
    """Return the gradient of an objective, through time, by kind."""
    return dict(zip(GENERATOR, gradients(objective, graph.leaves, *GENERATOR), strict=True))


def listening(network: Network, state: NetworkState, ach: AcetylcholineSignal) -> Deltas:
    """Return dD, unless D is too accurate to learn."""
    critic = network.acetylcholine
    assert isinstance(critic, SequenceCritic)
    learns = critic.learns(ach)
    if isinstance(learns, float) and not learns:
        return {}
    return {DISCRIMINATOR: Delta(critic.plasticity(state, ach, learns))}


def held_out_likelihood(network: Network, stimuli: Tensor) -> Tensor:
    """Return NLL of stimuli under teacher forcing: nats a symbol."""
    found = []
    for part in torch.split(stimuli, PORTION):
        state = network.with_dendrites(network.recognise(part, None, NO_GAINS))
        dendrite = state.layers[0].dendrite
        assert dendrite is not None
        logits, symbols = times(dendrite.potential), times(network.admit(part))
        found.append(negative_log_likelihood(logits, symbols).mean(1))
    return torch.cat(found).mean()


def predicting(
    network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
) -> Deltas:
    """Return what prediction alone teaches: dF, dL, dG = - d NLL in wake, dD in wake and REM."""
    if phase is NREM:
        return {}
    deltas = listening(network, state, ach)
    if phase is WAKE:
        assert isinstance(state.graph, Graph)
        found = climbed(state.graph, -likelihood(state.graph))
        deltas |= {kind: Delta(tensors) for kind, tensors in found.items()}
    return deltas
