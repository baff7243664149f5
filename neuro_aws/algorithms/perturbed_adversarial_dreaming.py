"""Perturbed and adversarial dreaming (Deperrois et al. 2022): wake, NREM and REM all teach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from neuro_aws.algorithms.asked import Memory
from neuro_aws.algorithms.base import Declared, density_of, propagate
from neuro_aws.algorithms.graph import detached, external, gradients, leaves_of
from neuro_aws.functional.densities import kl_to_standard_normal
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.occlusion import Picture, hidden_by_tiles, occluded
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import (
    AcetylcholineSignal,
    Delta,
    Deltas,
    NetworkState,
    Tensors,
)
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
from neuro_aws.stimuli.dataset import Dataset

LATENT, BEFORE = "latent", "latent_before"
"""Names in memory: z of the last wake step, and of the one before."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A step's passes that autograd differentiates, and the leaves they depend on.

    ``up`` is a pass through E, to h_N or, for d, to h_{N-1}; ``down`` one through G; ``latent``
    the z that G read in wake.
    """

    leaves: dict[str, Tensors]
    up: NetworkState
    down: NetworkState
    latent: Tensor


class PerturbedAdversarialDreaming:
    """E (all of F) and G (all of it) make an autoencoder; sleep trains E on what G dreams.

        wake   z = E(x) + s xi_z;   x^ = G(z)
               dF = - d( W <|x - x^|^2> + c KL(E(x)) + R <-log sigmoid(d(x))> ) / dF
               dG = - d( W <|x - x^|^2> ) / dG
               dd = - R d <-log sigmoid(d(x))> / dd                       d(x): external
        NREM   x^ = G(z), z that of the last wake step;   x~ = x^ behind tiles
               dF = - N d <|E(x~) - z|^2> / dF                            G stays as it is
        REM    x^ = G(z / 4 + z' / 4 + xi / 2), z' that of the wake step before
               L  = < -log(1 - sigmoid(d(x^))) >                          d(x^): internal
               dF = - R dL/dF,   dd = - R dL/dd,   dG = + R dL/dG         G: the sign turns

    Symbols, in order of appearance: E(x) = h_N as it is passed up from h_0 = x; s =
    ``latent_noise``; G(z) = h_0 as it is passed down from h_N = z; |.|^2 the mean over units
    (``reduction: sum``: their sum; ``density: laplacian``: absolute values); W, N, R = ``wake``,
    ``nrem``, ``rem``; c = ``kl``, KL that of each top unit's mean and variance over the batch to
    N(0, 1), averaged (summed) over units; < > the mean over the batch; d = w . h_{N-1} + b, an
    output that E has beside z; xi standard normal: old memories make up a third of what is mixed.
    Tiles and the shares that they hide are drawn for each picture.

    In wake G predicts without noise, as dendrites do; in dreams units are noisy, as everywhere.
    G is one function in all phases: where homeostasis holds drives, G's are held by one set of
    statistics, which follow all passes of all phases, and so are E's. What silences or scales
    units acts in every pass of its phase. Before the first wake step there is no z, and draws of
    the prior stand in for it; as long as there is no z', z stands in for it.
    A factor N or R of 0 teaches nothing in that phase, nor d in wake if R is 0.
    D, read as ACh, has no effect. No locality is claimed: autograd differentiates every phase.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
        NREM: (FEEDFORWARD,),
        REM: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(
        self, section: sections.PerturbedAdversarialDreaming, network: NetworkSection
    ) -> None:
        self.section = section
        self.density = density_of(section, network)
        self.memory: Memory = {}
        self.picture: Picture | None = None

    def shown(self, dataset: Dataset) -> None:
        """Learn how high and wide the stimuli are: tiles are laid over their pixels."""
        self.picture = Picture(*dataset.shape, dataset.channels)

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: E's in wake, G's dream in sleep."""
        if phase is WAKE:
            return self._wake(network, stimulus, noise, gains)
        if phase is REM:
            return self._rem(network, stimulus, noise, gains)
        return self._nrem(network, stimulus, noise, gains)

    def _wake(
        self, network: Network, stimulus: Tensor, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        with leaves_of(network, FEEDFORWARD, FEEDBACK, READOUT) as leaves:
            up = network.recognise(stimulus, noise, gains)
            latent = up.layers[-1].soma
            if self.section.latent_noise:
                drawn = self.section.latent_noise * noise.normal(latent.shape)
                gain = gains.get(network.depth)
                latent = latent + (drawn if gain is None else drawn * gain)
            down = network.dream(rows(latent), None, _without(gains, network.depth))
        graph = Graph(leaves, up, down, latent.detach())
        with torch.no_grad():
            state = network.with_dendrites(detached(up))
        return NetworkState(WAKE, state.layers, graph=graph)

    def _nrem(
        self, network: Network, prior: Tensor, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        with torch.no_grad():
            dreamt = network.dream(self._remembered(network, prior)[0], noise, gains)
        state = NetworkState(NREM, dreamt.layers)
        if not self.section.nrem:
            return state
        assert self.picture is not None
        x = dreamt.layers[0].soma
        largest = self.section.largest_tile or max(min(self.picture[:2]) // 4, 1)
        hidden = hidden_by_tiles(noise, len(x), self.picture, largest)
        perturbed = occluded(x, hidden, self.picture, self.section.occluder)
        with leaves_of(network, FEEDFORWARD) as leaves:
            up = network.recognise(perturbed, noise, _without(gains, 0))
        graph = Graph(leaves, up, dreamt, dreamt.layers[-1].soma)
        return NetworkState(NREM, state.layers, (detached(up),), graph)

    def _rem(
        self, network: Network, prior: Tensor, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        latent = self._mixed(network, prior, noise)
        if not self.section.rem:
            return propagate(network, rows(latent), REM, noise, gains)
        with leaves_of(network, FEEDFORWARD, FEEDBACK, READOUT) as leaves:
            dreamt = network.dream(rows(latent), noise, gains)
            x, above = dreamt.layers[0].soma, _without(gains, 0)
            up = network.recognise(x, noise, above, until=network.depth - 1)
        graph = Graph(leaves, up, dreamt, latent)
        return NetworkState(REM, detached(dreamt).layers, (detached(up),), graph)

    def _remembered(self, network: Network, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Return z of the last wake step and of the one before, or what stands in for them."""
        latent = self.memory.get(LATENT, prior)
        return latent, self.memory.get(BEFORE, latent)

    def _mixed(self, network: Network, prior: Tensor, noise: NoiseSource) -> Tensor:
        """Return z / 4 + z' / 4 + xi / 2, as rows."""
        latent, before = self._remembered(network, prior)
        return 0.25 * latent + 0.25 * before + 0.5 * noise.normal(latent.shape)

    def track(self, network: Network, state: NetworkState) -> None:
        """Remember z of a wake step; the statistics of G's drives follow its pass."""
        if state.phase is not WAKE:
            return
        assert isinstance(state.graph, Graph)
        if LATENT in self.memory:
            self.memory[BEFORE] = self.memory[LATENT]
        self.memory[LATENT] = rows(state.graph.latent).clone()
        for layer, below in zip(network.layers, detached(state.graph.down).layers, strict=False):
            if below.drive is not None:
                layer.track_dendrite(below.drive, dreaming=True)

    def dream(self, network: Network, count: int, noise: NoiseSource, gains: Gains) -> NetworkState:
        """Return dreams as in REM; those that are remembered are mixed in further pairs."""
        if LATENT not in self.memory:
            latent = self._mixed(network, network.prior(count, noise), noise)
        else:
            latent, before = self._remembered(network, self.memory[LATENT])
            turn = torch.arange(count, device=latent.device)
            once = torch.div(turn, len(latent), rounding_mode="floor")
            mixed = latent[turn % len(latent)] + before[(turn + once) % len(before)]
            latent = 0.25 * mixed + 0.5 * noise.normal(mixed.shape)
        return network.dream(latent, noise, gains)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return the error of x^ and c KL, noise off: what wake descends, but for d."""
        up = network.recognise(stimuli, None)
        down = network.dream(rows(up.layers[-1].soma), None)
        return self._reconstruction(up, down) + self.section.kl * self._divergence(up)

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dG, dd and dD in wake and REM, dF in NREM."""
        graph, deltas = state.graph, Deltas()
        if phase is not NREM:
            deltas[DISCRIMINATOR] = Delta(network.acetylcholine.plasticity(state, ach))
        if isinstance(graph, Graph):
            rule = {WAKE: self._wake_deltas, NREM: self._nrem_deltas, REM: self._rem_deltas}[phase]
            deltas |= rule(network, graph)
        return deltas

    def _wake_deltas(self, network: Network, graph: Graph) -> Deltas:
        given = self.section
        loss = given.wake * self._reconstruction(graph.up, graph.down)
        if given.kl:
            loss = loss + given.kl * self._divergence(graph.up)
        kinds: tuple[str, ...] = (FEEDFORWARD, FEEDBACK)
        if given.rem:
            loss = loss + given.rem * softplus(-self._external(network, graph)).mean()
            kinds = (*kinds, READOUT)
        found = gradients(-loss, graph.leaves, *kinds)
        return {kind: Delta(tensors) for kind, tensors in zip(kinds, found, strict=True)}

    def _nrem_deltas(self, network: Network, graph: Graph) -> Deltas:
        loss = self._error(graph.up.layers[-1].soma, graph.latent)
        (forward,) = gradients(-self.section.nrem * loss, graph.leaves, FEEDFORWARD)
        return {FEEDFORWARD: Delta(forward)}

    def _rem_deltas(self, network: Network, graph: Graph) -> Deltas:
        loss = self.section.rem * softplus(self._external(network, graph)).mean()
        kinds = (FEEDFORWARD, READOUT, FEEDBACK)
        forward, readout, feedback = gradients(-loss, graph.leaves, *kinds)
        turned = {name: -tensor for name, tensor in feedback.items()}
        return {
            FEEDFORWARD: Delta(forward),
            READOUT: Delta(readout),
            FEEDBACK: Delta(turned),
        }

    def _external(self, network: Network, graph: Graph) -> Tensor:
        """Return d of each stimulus on its way up."""
        return external(graph.up.layers[network.depth - 1].soma, graph.leaves[READOUT])

    def _reconstruction(self, up: NetworkState, down: NetworkState) -> Tensor:
        """Return <|x - x^|^2>."""
        return self._error(down.layers[0].soma, up.layers[0].soma)

    def _error(self, found: Tensor, wanted: Tensor) -> Tensor:
        apart = rows(found - wanted)
        each = apart.abs() if self.density == "laplacian" else apart.square()
        return self._over_units(each.sum(1).mean(), apart.shape[1])

    def _divergence(self, up: NetworkState) -> Tensor:
        """Return KL(E(x)) to N(0, I)."""
        top = rows(up.layers[-1].soma)
        return self._over_units(kl_to_standard_normal(top), top.shape[1])

    def _over_units(self, total: Tensor, units: int) -> Tensor:
        return total if self.section.reduction == "sum" else total / units


def _without(gains: Gains, layer: int) -> Mapping[int, Tensor]:
    """Return the factors but for a layer's that the activity passed on has had already."""
    return {i: gain for i, gain in gains.items() if i != layer}
