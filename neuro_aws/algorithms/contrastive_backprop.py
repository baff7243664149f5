"""Contrastive backpropagation (Hinton, Osindero, Welling & Teh 2006): F is an energy function.

Wake lowers the energy of stimuli, REM raises that of what they turn into by themselves.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuro_aws.algorithms.asked import Memory
from neuro_aws.algorithms.base import Declared, feedback_delta, propagate
from neuro_aws.algorithms.graph import detached, gradients, leaves_of
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.shapes import like, rows
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
from neuro_aws.protocol import theories_of_energy as sections
from neuro_aws.protocol.model import NetworkSection

CONFABULATED = "stimulus"
"""Name in memory of h_0 that the next confabulations start from."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A step's energy of each sample, with its graph, and the leaves it depends on."""

    leaves: dict[str, Tensors]
    energy: Tensor


class ContrastiveBackprop:
    """Stimuli get a low energy, confabulations a high one; the energy is the summed one of units.

        E(x)   = |x - c|^2 / (2 v) + sum_i sum_k w_ik log(1 + h_ik^2),   i = 1 ... N
        wake   h_0 = x + s xi,  h_{i+1} = psi(F_i h_i + b + sigma xi)
               dF, dw, dc = - d < E(x) > / d(F, w, c)
               dG_i = + < (h_i - d_i) psi'(.) h_{i+1}^T >
        REM    x^ = h_0 as remembered, then ``langevin_steps`` times
                   x^ <- x^ - eps/2 dE/dx^ + sqrt(eps) xi
               h_0 = x^, up as in wake
               dF, dw, dc = + d < E(x^) > / d(F, w, c)

    Symbols: c the centre and v = ``variance`` of the stimulus units' own energy, a Gaussian; w_ik
    what unit k of layer i (a map of units: all of them alike) counts, learnt, of either sign;
    h_ik its soma; s = ``stimulus_noise``, without which pixels that hardly vary would be
    worth ever more; eps = ``step_size``; xi standard normal; < > the mean over the batch. What is
    remembered is the stimulus of the last wake step, or with ``persistent`` where the last REM step
    ended. The sum of both phases is the gradient of log p(x), p(x) ∝ exp(-E(x)), but for chains
    that are not yet at rest. On their way down E units have no noise. Gains act on somata in every
    pass, so that a silenced unit has no energy. G predicts in wake, and nothing reads that but the
    dendrites. A dream starts from N(c, v) and takes ``dream_steps``. Nothing is learnt in NREM. D,
    read as ACh, has no effect. F and w by autograd: no locality is claimed; w_ik alone is local.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
        REM: (FEEDFORWARD, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.ContrastiveBackprop, network: NetworkSection) -> None:
        self.section = section
        self.memory: Memory = {}

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: a pass up from a stimulus or from a confabulation."""
        if phase is NREM:
            return propagate(network, stimulus, phase, noise, gains)
        if phase is WAKE:
            x = self._noisy(network, stimulus, noise)
        else:
            start = self.memory.get(CONFABULATED)
            if start is None:
                start = self._anywhere(network, len(stimulus), noise)
            x = self.descend(network, start, self.section.langevin_steps, noise, gains)
        with leaves_of(network, FEEDFORWARD, READOUT) as leaves:
            up = network.recognise(x, noise, gains)
            graph = Graph(leaves, self.energy(network, up, leaves[READOUT]))
        state = detached(up)
        if phase is WAKE:
            state = network.with_dendrites(state)
        return NetworkState(phase, state.layers, graph=graph)

    def _noisy(self, network: Network, stimulus: Tensor, noise: NoiseSource) -> Tensor:
        """Return x + s xi, as h_0 has it."""
        x, s = network.admit(stimulus), self.section.stimulus_noise
        return x + s * noise.normal(x.shape) if s else x

    def energy(self, network: Network, up: NetworkState, weights: Tensors) -> Tensor:
        """Return E of each sample as it is passed up."""
        x, *hidden = up.somas
        found = (rows(x) - weights[sections.CENTRE]).square().sum(1) / (2 * self.section.variance)
        for i, h in enumerate(hidden, start=1):
            each = torch.log1p(h.square())
            of_maps = each.sum((2, 3)) if each.dim() == 4 else each
            found = found + of_maps @ weights[sections.energy_tensor(i)][0]
        return found

    def descend(
        self,
        network: Network,
        start: Tensor,
        steps: int,
        noise: NoiseSource,
        gains: Gains = NO_GAINS,
    ) -> Tensor:
        """Return x^ after so many noisy steps down the energy, as h_0 has it."""
        x, weights, size = network.admit(start), network.parameters(READOUT), self.section.step_size
        for _ in range(steps):
            with torch.enable_grad():
                leaf = x.detach().requires_grad_()
                total = self.energy(network, network.recognise(leaf, None, gains), weights).sum()
                (slope,) = torch.autograd.grad(total, leaf)
            x = x - size / 2 * slope + math.sqrt(size) * noise.normal(x.shape)
        return x

    def _anywhere(self, network: Network, count: int, noise: NoiseSource) -> Tensor:
        """Return h_0 as its own energy alone would have it: draws of N(c, v)."""
        centre = network.parameters(READOUT)[sections.CENTRE]
        drawn = noise.normal(torch.Size((count, *network.shapes[0])))
        return like(centre + math.sqrt(self.section.variance) * rows(drawn), drawn)

    def track(self, network: Network, state: NetworkState) -> None:
        """Remember where the next confabulations start."""
        anew = not self.section.persistent
        if (state.phase is WAKE and (anew or not self.memory)) or (state.phase is REM and not anew):
            self.memory[CONFABULATED] = state.layers[0].soma.clone()

    def dream(
        self, network: Network, count: int, noise: NoiseSource, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """Return so many confabulations that start anywhere, passed up."""
        start = self._anywhere(network, count, noise)
        x = self.descend(network, start, self.section.dream_steps, noise, gains)
        return NetworkState(REM, network.recognise(x, noise, gains).layers)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return <E(x)> - <E(x^)>, x^ the confabulations that stimuli turn into."""
        x = self._noisy(network, stimuli, noise)
        weights, steps = network.parameters(READOUT), self.section.langevin_steps
        confabulated = self.descend(network, x, steps, noise)
        of_x, of_dreams = (
            self.energy(network, network.recognise(shown, None), weights).mean()
            for shown in (x, confabulated)
        )
        return of_x - of_dreams

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dw with dc, and dD in wake and REM, dG in wake."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        graph = state.graph
        assert isinstance(graph, Graph)
        uphill = -graph.energy.mean() if phase is WAKE else graph.energy.mean()
        forward, own = gradients(uphill, graph.leaves, FEEDFORWARD, READOUT)
        deltas |= {FEEDFORWARD: Delta(forward), READOUT: Delta(own)}
        if phase is WAKE:
            found = feedback_delta(network, state, self.section.density, self.section.reduction)
            deltas[FEEDBACK] = Delta(found)
        return deltas
