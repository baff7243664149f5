"""An energy-based generative adversarial network (Zhao, Mathieu & LeCun 2017).

F and a decoder of its own are an autoencoder whose error is the energy; G generates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor

from neuro_aws.algorithms.base import Declared, propagate
from neuro_aws.algorithms.graph import detached, gradients, leaves_of
from neuro_aws.algorithms.reconstruct import Graph, errors
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import NO_GAINS, Gains, Network
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


class EnergyBasedGan:
    """F and a decoder give stimuli a low energy and dreams a high one; G dreams of low energy.

        E(x)   = |x - d_0|^2 / 2,   d_N = h_N,   d_i = psi(V_i d_{i+1} + c),   h_N = F(x)
        wake   L = < E(x) >                              dF = - dL/dF,  dV = - dL/dV
        REM    x^ = G(z),  z from the prior
               L = < max(0, m - E(x^)) >                 dF = - dL/dF,  dV = - dL/dV
               dG = - d < E(x^) > / dG

    Symbols: h_i the somata as x passes up through F, h_N the code; V_i the decoder's weights, which
    stand beside G_i and have its shapes; d_i what the dendrites carry in wake, the decoder's way
    down; m = ``margin``, in units of E; G(z) = h_0 as z passes down; < > the mean over the batch;
    E summed over the stimulus (``reduction: mean``: averaged; ``density: laplacian``: sum |x -
    d_0|). Gains act on units in every pass. Where drives are held at a set point, V's are held as
    waking dendrites are, G's as dreams are. Nothing is learnt in NREM. D, read as ACh, has no
    effect, and its gate none. All by autograd: no locality is claimed.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, DISCRIMINATOR, READOUT),
        REM: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.EnergyBasedGan, network: NetworkSection) -> None:
        self.margin = section.margin
        self.density = section.density
        self.reduction = section.reduction

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: up and down again in wake, a dream in sleep."""
        if phase is NREM:
            return propagate(network, stimulus, phase, noise, gains)
        if phase is WAKE:
            with leaves_of(network, FEEDFORWARD, READOUT) as leaves:
                state, energy = self.energy(network, stimulus, noise, gains, leaves[READOUT])
            return NetworkState(WAKE, detached(state).layers, graph=Graph(leaves, energy))
        with leaves_of(network, FEEDFORWARD, FEEDBACK, READOUT) as leaves:
            dreamt = network.dream(stimulus, noise, gains)
            above = {i: gain for i, gain in gains.items() if i}  # h_0 has had its own
            x = dreamt.layers[0].soma
            up, energy = self.energy(network, x, noise, above, leaves[READOUT])
        layers = detached(dreamt).layers
        return NetworkState(REM, layers, (detached(up),), Graph(leaves, energy))

    def energy(
        self,
        network: Network,
        x: Tensor,
        noise: NoiseSource,
        gains: Gains,
        decoder: Tensors,
    ) -> tuple[NetworkState, Tensor]:
        """Return the state that x leads to, up through F and down through V, and E of each."""
        with _decoding(network, decoder):
            state, found = errors(network, x, x, noise, gains, self.density)
        return state, found / network.sizes[0] if self.reduction == "mean" else found

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return <E> of stimuli, with the units' noise."""
        decoder = network.parameters(READOUT)
        return self.energy(network, stimuli, noise, NO_GAINS, decoder)[1].mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dV and dD in wake and REM, dG in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        graph = state.graph
        assert isinstance(graph, Graph)
        energy = graph.error
        loss = energy.mean() if phase is WAKE else torch.relu(self.margin - energy).mean()
        forward, decoder = gradients(-loss, graph.leaves, FEEDFORWARD, READOUT)
        deltas |= {FEEDFORWARD: Delta(forward), READOUT: Delta(decoder)}
        if phase is REM:
            (feedback,) = gradients(-energy.mean(), graph.leaves, FEEDBACK)
            deltas[FEEDBACK] = Delta(feedback)
        return deltas


@contextmanager
def _decoding(network: Network, decoder: Tensors) -> Iterator[None]:
    """Let what passes down the layers pass through V instead of G."""
    kept = network.parameters(FEEDBACK)
    network.put(FEEDBACK, dict(zip(kept, decoder.values(), strict=True)))
    try:
        yield
    finally:
        network.put(FEEDBACK, kept)
