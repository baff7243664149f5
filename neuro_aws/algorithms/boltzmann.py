"""Restricted Boltzmann machines by contrastive divergence, one on the activity of the other."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from neuro_aws.algorithms.base import Declared
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import batch_of
from neuro_aws.functional.shapes import like, rows
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import (
    AcetylcholineSignal,
    Delta,
    Deltas,
    LayerState,
    NetworkState,
)
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_energy as sections
from neuro_aws.protocol.model import NetworkSection

FLIPS = 64
"""The pseudo-likelihood flips so many pixels at most."""


class Boltzmann:
    """Neighbouring layers are a restricted Boltzmann machine: Hebbian in wake, anti-Hebbian in REM.

        p(v, h) ∝ exp(v W_i h + b_i v + c_{i+1} h),   v = h_i, h = h_{i+1} of 0 or 1
        G_i = W_i with bias b_i,   F_i = W_i^T with bias c_{i+1}
        wake   h_0 = x,  h_{i+1} ~ sigmoid(F_i h_i + c_{i+1})
               dW_i = + < h_i p_{i+1}^T >,   db_i = + < h_i >,   dc_{i+1} = + < p_{i+1} >
        REM    from h'_{i+1} as remembered, k times, all pairs of layers at once, each for itself:
               v_i ~ sigmoid(G_i h'_{i+1} + b_i),   h'_{i+1} ~ sigmoid(F_i v_i + c_{i+1})
               dW_i = - < v_i p'_{i+1}^T >,  db_i = - < v_i >,   dc_{i+1} = - < p'_{i+1} >

    < > is the batch mean; p, p' the probabilities that h_{i+1}, h'_{i+1} were drawn from (times the
    gain of a perturbed unit), v_i what layer i fires in the chain of the pair above it, h'_i what
    it fires in that of the pair below. What is remembered is the last wake step (CD-k), or with
    ``persistent`` where the chains of the last REM step ended. The sum of both phases is the
    gradient of log p(h_i) but for the chains' end, which is not yet that of the model. Each machine
    of the stack learns on the activity of the one below, all at once. F and G are the same weights:
    both get the same Delta, to the bit, and one set of rates. Local to the synapse. A dream runs
    the machine at the top for ``dream_steps``, then passes down. D watches.
    Hinton 2002, 2006; Tieleman 2008.
    """

    changes: ClassVar[Declared] = dict.fromkeys((WAKE, REM), (FEEDFORWARD, FEEDBACK, DISCRIMINATOR))
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False

    def __init__(self, section: sections.Boltzmann, network: NetworkSection) -> None:
        self.gibbs_steps = section.gibbs_steps
        self.persistent = section.persistent
        self.dream_steps = section.dream_steps
        self.memory: dict[str, Tensor] = {}

    def initialise(self, network: Network) -> None:
        """Tie the weights: F_i becomes G_i^T."""
        for layer in network.layers:
            layer.feedforward[0].copy_(_turned(layer.feedback[0]))

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return a pass up in wake; else the ends of the chains, ``passes`` what fired upwards."""
        if phase is WAKE:
            return network.with_dendrites(network.recognise(stimulus, noise, gains))
        ups = self._remembered(network, stimulus, noise, gains)
        downs: list[LayerState] = []
        for _ in range(self.gibbs_steps):
            downs = [network.fire_below(i, up.soma, noise, gains) for i, up in enumerate(ups)]
            ups = [network.fire_above(i, down.soma, noise, gains) for i, down in enumerate(downs)]
        upwards = NetworkState(phase, (downs[0], *ups))
        return NetworkState(phase, (*downs, ups[-1]), (upwards,))

    def track(self, network: Network, state: NetworkState) -> None:
        """Remember where the next chains start: the somata of wake, or those that ended a chain."""
        if state.phase is WAKE and (not self.persistent or not self.memory):
            self._remember(state.layers)
        elif state.phase is REM and self.persistent:
            self._remember(state.passes[0].layers)

    def _remember(self, layers: Sequence[LayerState]) -> None:
        for i, layer in enumerate(layers[1:], start=1):
            self.memory[f"soma{i}"] = layer.soma.clone()

    def _remembered(
        self, network: Network, top: Tensor, noise: NoiseSource, gains: Gains
    ) -> list[LayerState]:
        """Return h'_1 ... h'_N to start from: those of a pass down where nothing is remembered."""
        if not self.memory:
            return list(network.dream(top, noise, gains).layers[1:])
        somas = [self.memory[f"soma{i}"] for i in range(1, network.depth + 1)]
        somas = [h * gains[i] if i in gains else h for i, h in enumerate(somas, start=1)]
        return [LayerState(h, h) for h in somas]

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dW of both directions and dD, in wake and in REM."""
        if phase is NREM:
            return {}
        ups, sign = (state, 1.0) if phase is WAKE else (state.passes[0], -1.0)
        forward: dict[str, Tensor] = {}
        back: dict[str, Tensor] = {}
        for i in range(network.depth):
            down, up = statistics(network, i, state.layers[i], ups.layers[i + 1], sign)
            forward |= network.feedforward_changes(i, up)
            back |= network.feedback_changes(i, down)
        return {
            FEEDFORWARD: Delta(forward),
            FEEDBACK: Delta(back),
            DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach)),
        }

    def dream(
        self, network: Network, count: int, noise: NoiseSource, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """Return so many dreams: Gibbs sampling of the two top layers, then a pass down."""
        top, highest = network.prior.shaped(network.prior(count, noise)), network.depth - 1
        gain = gains.get(network.depth)
        if gain is not None:
            top = top * gain
        for _ in range(self.dream_steps):
            below = network.fire_below(highest, top, noise, gains).soma
            top = network.fire_above(highest, below, noise, gains).soma
        return network.dream(rows(top), noise, gains)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return minus the pseudo-likelihood of stimuli by the lowest machine, mean over stimuli.

        In nats. Exact up to ``FLIPS`` pixels; of more so many are drawn, and stand for all.
        """
        units = network.sizes[0]
        order = noise.uniform(torch.Size((units,))).argsort() if units > FLIPS else None
        chosen = range(units) if order is None else order[:FLIPS].tolist()
        found = pseudo_likelihood(network, network.admit(stimuli), chosen)
        return -found.mean() * (units / len(chosen))


def statistics(
    network: Network, i: int, below: LayerState, above: LayerState, sign: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Return sign * [< v p^T >, < v >] as changes of G_i, and [< p v^T >, < p >] of F_i.

    v is what fires below, p the probability that each unit above fires.
    """
    layer, v, p = network.layers[i], below.soma, probability(above)
    scale, fired = sign / batch_of(v), below.drive or below.dendrite
    assert fired is not None
    down = layer.onto_feedback(v, p, scale, fired=fired)
    bias = p.sum((0, 2, 3)) if p.dim() == 4 else p.sum(0)
    return down, [_turned(down[0]), bias * scale]


def probability(layer: LayerState) -> Tensor:
    """Return the probability that each unit fires, 0 where it is silenced."""
    assert layer.drive is not None
    return layer.drive.value if layer.gain is None else layer.drive.value * layer.gain


def free_energy(network: Network, v: Tensor) -> Tensor:
    """Return - log sum_h exp(v W h + b v + c h) of each sample, of the lowest machine."""
    layer = network.layers[0]
    potential, _ = layer.feedforward_potential(v)
    bias = layer.feedback[1]
    own = (rows(v * bias.view(-1, 1, 1)) if v.dim() == 4 else v * bias).sum(1)
    return -own - rows(softplus(potential)).sum(1)


def pseudo_likelihood(network: Network, v: Tensor, pixels: Iterable[int]) -> Tensor:
    """Return sum_j log p(v_j | v without j) of each sample over pixels j, by the lowest machine."""
    before, flat = free_energy(network, v), rows(v).clone()
    total = torch.zeros_like(before)
    for j in pixels:
        flat[:, j] = 1 - flat[:, j]
        total += logsigmoid(free_energy(network, like(flat, v)) - before)
        flat[:, j] = 1 - flat[:, j]
    return total


def _turned(weight: Tensor) -> Tensor:
    """Return F's form of a weight of G, or the other way round: kernels have the same one."""
    return weight.mT if weight.dim() == 2 else weight
