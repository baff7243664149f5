"""A generative adversarial network (Goodfellow et al. 2014; as convolutional, Radford et al. 2016).

F discriminates, with an output d beside the top layer; G generates.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from neuro_aws.algorithms import asked
from neuro_aws.algorithms.base import Declared, propagate
from neuro_aws.algorithms.graph import detached, external, gradients, leaves_of
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState, Tensors
from neuro_aws.phase import (
    DISCRIMINATOR,
    FEEDBACK,
    FEEDFORWARD,
    NREM,
    READOUT,
    REM,
    WAKE,
    Phase,
)
from neuro_aws.protocol import theories_of_dreams as sections
from neuro_aws.protocol.model import NetworkSection


@dataclass(frozen=True, slots=True)
class Graph:
    """A step's pass up to h_{N-1} that autograd differentiates, and the leaves it depends on."""

    leaves: dict[str, Tensors]
    up: NetworkState


class Gan:
    """F and d tell stimuli from dreams, G learns to dream what they take for stimuli.

        wake   L = < -log sigmoid(d(x)) >                  dF = - dL/dF,  dd = - dL/dd
        REM    x^ = G(z),  z from the prior
               L = < -log(1 - sigmoid(d(x^))) >            dF = - dL/dF,  dd = - dL/dd
               dG = - d < -log sigmoid(d(x^)) > / dG       non-saturating

    Symbols: d(x) = w . h_{N-1} + b, h_{N-1} as x passes up through F; G(z) = h_0 as z passes down;
    < > the mean over the batch. Weights into the top layer get no gradient: d does not read it.
    Nothing is learnt in NREM. D, read as ACh, has no effect, and its gate none. All by autograd.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, DISCRIMINATOR, READOUT),
        REM: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.Gan, network: NetworkSection) -> None:
        """Take nothing from the settings: rates and optimisers act on Deltas."""

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: a pass up in wake, a dream in sleep."""
        if phase is NREM:
            return propagate(network, stimulus, phase, noise, gains)
        if phase is WAKE:
            with leaves_of(network, FEEDFORWARD, READOUT) as leaves:
                up = network.recognise(stimulus, noise, gains)
            with torch.no_grad():
                state = network.with_dendrites(detached(up))
            return NetworkState(WAKE, state.layers, graph=Graph(leaves, up))
        with leaves_of(network, FEEDFORWARD, FEEDBACK, READOUT) as leaves:
            dreamt = network.dream(stimulus, noise, gains)
            above = {i: gain for i, gain in gains.items() if i}  # h_0 has had its own
            x = dreamt.layers[0].soma
            up = network.recognise(x, noise, above, until=network.depth - 1)
        graph = Graph(leaves, up)
        return NetworkState(REM, detached(dreamt).layers, (detached(up),), graph)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return what G descends, of as many dreams as there are stimuli; passed up noise-free."""
        dreams = asked.dream(self, network, len(stimuli), noise).layers[0].soma
        up = network.recognise(dreams, None, until=network.depth - 1)
        return softplus(-_level(network, up, network.parameters(READOUT))).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dd and dD in wake and REM, dG in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        graph = state.graph
        assert isinstance(graph, Graph)
        logit = _level(network, graph.up, graph.leaves[READOUT])
        loss = softplus(-logit if phase is WAKE else logit).mean()
        forward, readout = gradients(-loss, graph.leaves, FEEDFORWARD, READOUT)
        deltas |= {FEEDFORWARD: Delta(forward), READOUT: Delta(readout)}
        if phase is REM:
            (feedback,) = gradients(-softplus(-logit).mean(), graph.leaves, FEEDBACK)
            deltas[FEEDBACK] = Delta(feedback)
        return deltas


def _level(network: Network, up: NetworkState, weights: Tensors) -> Tensor:
    return external(up.layers[network.depth - 1].soma, weights)
