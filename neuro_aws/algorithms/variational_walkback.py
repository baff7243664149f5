"""Variational Walkback (Goyal, Ke, Ganguli & Bengio 2017; Goyal's thesis, chapter 3).

One stochastic operator walks away from stimuli as it heats, and learns to take each step back.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from neuro_aws.algorithms.asked import Memory
from neuro_aws.algorithms.base import Declared, propagate
from neuro_aws.algorithms.graph import gradients, leaves_of
from neuro_aws.algorithms.reconstruct import with_way_down
from neuro_aws.functional import transitions
from neuro_aws.functional.homeostasis import Statistics, followed
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.shapes import rows
from neuro_aws.functional.transitions import (
    BernoulliTransition,
    GaussianTransition,
    Transition,
)
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
from neuro_aws.protocol import theories_of_walks as sections
from neuro_aws.protocol.model import NetworkSection

MEAN, VARIANCE = "start_mean", "start_variance"
"""Names in memory of the moments of p*."""

SUREST = 0.999
"""A unit of a Bernoulli p* is -1 or 1 with this probability at most."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A wake step's log p of all steps back, mean over the batch, and where it ended."""

    leaves: dict[str, Tensors]
    climbed: Tensor
    reached: Tensor


class Walk(NamedTuple):
    """s_0 ... s_K (batch, units), the levels of the steps between them, and what s_0 led to.

    ``waits``: so many steps (batch,) each sample stays at s_0 before it sets out; None: none does.
    """

    states: list[Tensor]
    levels: tuple[int, ...]
    first: NetworkState
    waits: Tensor | None = None


class VariationalWalkback:
    """Wake heats stimuli and learns to walk each step back; REM cools from where heating ended.

        p_T(s' | s) = N(mu, sigma^2),   mu = (1 - a) s + a F_mu(s)
                                        sigma = T^(1/2) (sigma_0 + log(1 + exp F_sigma(s)))
            h_0 = s,  h_{i+1} = psi(F_i h_i + b);  d_N = h_N,  d_i = psi(G_i d_{i+1} + c)
            F_mu(s) = d_0,   F_sigma(s) = V h_N + v
        wake   s_0 = x,  n ~ uniform{0 ... N_1} a sample,  K = ceil(log_f T_max) + n,  T_1 = 1
               s_t ~ p_{T_t}(. | s_{t-1}),   T_{t+1} = f T_t if t > n, else T_t        t = 1 ... K
               dF, dG, dV, dv = + d < sum_t log p_{T_t}(s_{t-1} | s_t) > / d(F, G, V, v)
               m += (< s_K > - m) / R,   w += (< (s_K - m)^2 > - w) / R
        REM    s_K ~ p* = N(m, w),   s_{t-1} ~ p_{T_t}(. | s_t)  with n = N_1,   h_0 = s_0

    < > is the mean over the batch, log p in nats and summed over units. Each step back is learnt
    by itself, from states as they were drawn: nothing is sent back through steps. Symbols: a =
    ``share``, f = ``factor``, T_max = ``hottest``, N_1 = ``extra_steps``, sigma_0 =
    ``least_spread`` (0 in the source; without it units that never vary are worth ever more), R =
    ``start_steps``. ``spread: linear``: T in place of T^(1/2). ``states: bernoulli``: s is -1 or
    1, p(s'_k = 1 | s) = sigmoid(((1 - a) s + a F_rho(s)) / T), F_rho the potential under d_0, and
    p* has m alone. With ``own_parameters`` F_i h_i + b is scaled and shifted, unit by unit, by
    parameters that each temperature has for itself, learnt with V (the source's batch
    normalisation, without its normalisation: a step's density is then one sample's own).
    The layers' somata are, in wake, those of the first step, which reads x, and in REM those that
    s_0 leads to. Gains act on units in every application of the operator. Nothing is learnt in
    REM but D, nothing at all in NREM; nothing is gated, and D, read as ACh, has no effect. All by
    autograd, one application deep: no locality is claimed.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
        REM: (DISCRIMINATOR,),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.VariationalWalkback, network: NetworkSection) -> None:
        self.section = section
        self.binary = section.states == "bernoulli"
        self.samples = network.noise.bottom
        self.memory: Memory = {}

    def initialise(self, network: Network) -> None:
        """Start from one sigma everywhere, and from potentials as they are at all temperatures."""
        for name, tensor in network.parameters(READOUT).items():
            tensor.zero_()
            if name == sections.SPREAD_BIAS:
                free = self.section.spread_at_start - self.section.least_spread
                tensor.fill_(math.log(math.expm1(free)))  # log(1 + exp F_sigma) = free

    def levels(self) -> tuple[int, ...]:
        """Return the levels of a walk with n = N_1, T_t = f^l_t; a shorter one sets out later."""
        return transitions.levels(self.section.temperatures, self.section.extra_steps)

    def state_of(self, network: Network, stimuli: Tensor) -> Tensor:
        """Return s_0 of stimuli, as rows."""
        x = rows(network.admit(stimuli))
        return torch.where(x > 0, 1.0, -1.0).to(x) if self.binary else x

    def up(
        self, network: Network, state: Tensor, level: Tensor, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """Return the pass up from states at the levels (batch,) of their temperatures."""
        if not self.section.own_parameters:
            return network.recognise(state, None, gains)
        own = network.parameters(READOUT)

        def modulated(layer: int, potential: Tensor) -> Tensor:
            scale, shift = (
                own[name].index_select(0, level) for name in sections.own_tensors(layer)
            )
            if potential.dim() == 4:
                scale, shift = scale[:, :, None, None], shift[:, :, None, None]
            return (1 + scale) * potential + shift

        return network.recognise(state, None, gains, modulated=modulated)

    def apply(
        self, network: Network, state: Tensor, level: Tensor | int, gains: Gains = NO_GAINS
    ) -> tuple[NetworkState, Transition]:
        """Return the activity that states lead to, and p_T(. | s); T = f^``level``."""
        if isinstance(level, int):
            level = torch.full((len(state),), level, device=state.device)
        given = self.section
        found = with_way_down(network, self.up(network, state, level, gains), gains)
        bottom = found.layers[0].dendrite
        assert bottom is not None
        s, temperature = rows(found.layers[0].soma), self._temperature(level, state)
        if self.binary:
            aim = rows(bottom.potential)
            return found, transitions.bernoulli_step(s, aim, given.share, temperature)
        own, top = network.parameters(READOUT), rows(found.layers[-1].soma)
        spread = top @ own[sections.SPREAD].T + own[sections.SPREAD_BIAS]
        return found, transitions.gaussian_step(
            s, rows(bottom.rate), spread, given.share, temperature, given.spread, given.least_spread
        )

    def _temperature(self, level: Tensor, like: Tensor) -> Tensor:
        return (self.section.factor ** level.to(like))[:, None]

    def start(self, network: Network, count: int) -> Transition:
        """Return p* for so many states; N(0, 1), or fair coins, as long as nothing was heated."""
        kept = network.layers[0].feedback[1]
        units = torch.Size((count, network.sizes[0]))
        mean = self.memory.get(MEAN, kept.new_zeros(units[1])).expand(units)
        if self.binary:
            return BernoulliTransition(2 * mean.clamp(-SUREST, SUREST).atanh())
        variance = self.memory.get(VARIANCE, kept.new_ones(units[1])).expand(units)
        return GaussianTransition(mean, variance.sqrt())

    def heat(
        self,
        network: Network,
        state: Tensor,
        walk: tuple[int, ...],
        noise: NoiseSource,
        gains: Gains = NO_GAINS,
        waits: Tensor | None = None,
    ) -> Walk:
        """Return the states of a walk away from ``state``; ``waits`` as in ``Walk``."""
        states, first = [state], None
        for t, level in enumerate(walk):
            found, step = self.apply(network, states[-1], level, gains)
            first = found if first is None else first
            drawn = step.drawn(noise)
            if waits is not None:
                drawn = torch.where((waits > t)[:, None], state, drawn)
            states.append(drawn)
        assert first is not None
        return Walk(states, walk, first, waits)

    def back(self, network: Network, walk: Walk, gains: Gains = NO_GAINS) -> Tensor:
        """Return log p_{T_t}(s_{t-1} | s_t) of every step and sample, (K, batch).

        0 where a sample waits.
        """
        before, after = torch.cat(walk.states[:-1]), torch.cat(walk.states[1:])
        batch = len(walk.states[0])
        level = transitions.along(walk.levels, batch, after.device)
        _, step = self.apply(network, after, level, gains)
        found = step.log_density(before).view(-1, batch)
        if walk.waits is None:
            return found
        number = torch.arange(len(found), device=found.device)[:, None]
        return torch.where(number < walk.waits, 0.0, found)

    def cool(
        self,
        network: Network,
        state: Tensor,
        walk: Sequence[int],
        noise: NoiseSource,
        gains: Gains = NO_GAINS,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return s_0 after the steps of a walk, the last one first.

        ``known``: units (a mask) and what they are held at in every state. Without noise on the
        dreamt stimulus (``network.noise.bottom``) s_0 is the mean of the last step.
        """

        def held(s: Tensor) -> Tensor:
            return s if known is None else torch.where(known[0], known[1], s)

        state = held(state)
        for t in range(len(walk) - 1, -1, -1):
            _, step = self.apply(network, state, walk[t], gains)
            state = held(step.drawn(noise) if t or self.samples else step.expected())
        return state

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: heat and look back in wake, cool in REM."""
        if phase is NREM:
            return propagate(network, stimulus, phase, noise, gains)
        if phase is REM:
            return self.dream(network, len(stimulus), noise, gains)
        with torch.no_grad():
            start, most = self.state_of(network, stimulus), self.section.extra_steps
            uniform = noise.uniform(torch.Size((len(start),)))
            waits = (uniform * (most + 1)).floor().clamp(max=most)  # N_1 - n
            walk = self.heat(network, start, self.levels(), noise, gains, waits)
        kinds = (FEEDFORWARD, FEEDBACK, READOUT)
        with leaves_of(network, *(kind for kind in kinds if kind in network.kinds)) as leaves:
            climbed = self.back(network, walk, gains).sum(0).mean()
        graph = Graph(leaves, climbed, walk.states[-1])
        return NetworkState(WAKE, walk.first.layers, graph=graph)

    def track(self, network: Network, state: NetworkState) -> None:
        """Let p* follow where heating ended."""
        if not isinstance(state.graph, Graph):
            return
        reached = state.graph.reached
        if MEAN not in self.memory:
            variance, mean = torch.var_mean(reached, 0, correction=0)
            moments = Statistics(mean, variance)
        else:
            kept = Statistics(self.memory[MEAN], self.memory[VARIANCE])
            moments = followed(kept, reached, -1, self.section.start_steps)
        self.memory[MEAN], self.memory[VARIANCE] = moments

    def recognise(
        self,
        network: Network,
        stimuli: Tensor,
        noise: NoiseSource | None,
        gains: Gains,
        running: bool,
    ) -> NetworkState:
        """Return the pass up from stimuli at T = 1; units have no noise of their own."""
        state = self.state_of(network, stimuli)
        return self.up(network, state, self._coldest(state), gains)

    def dream(
        self, network: Network, count: int, noise: NoiseSource, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """Return what so many walks from p* lead to, passed up at T = 1."""
        start = self.start(network, count).drawn(noise)
        state = self.cool(network, start, self.levels(), noise, gains)
        return NetworkState(REM, self.up(network, state, self._coldest(state), gains).layers)

    def _coldest(self, state: Tensor) -> Tensor:
        return torch.zeros(len(state), dtype=torch.long, device=state.device)

    def bound(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return the lower bound on log p(x) of each stimulus, of one heating with n = N_1, nats.

            L = sum_t log p_{T_t}(s_{t-1} | s_t) - log q_{T_t}(s_t | s_{t-1}) + log p*(s_K)

        q is the same operator on the way up (Eq. 3.5). The log of the mean of exp(L) over many
        heatings estimates log p(x) by importance sampling (Eq. 3.10).
        """
        walk = self.heat(network, self.state_of(network, stimuli), self.levels(), noise)
        away = torch.stack(
            [
                self.apply(network, before, level)[1].log_density(after)
                for before, after, level in zip(
                    walk.states[:-1], walk.states[1:], walk.levels, strict=True
                )
            ]
        )
        end = self.start(network, len(stimuli)).log_density(walk.states[-1])
        return (self.back(network, walk) - away).sum(0) + end

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return minus the bound, mean over stimuli."""
        return -self.bound(network, stimuli, noise).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dG, dV with what temperatures have of their own, and dD in wake; dD in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        graph = state.graph
        if isinstance(graph, Graph):
            kinds = tuple(graph.leaves)
            found = gradients(graph.climbed, graph.leaves, *kinds)
            deltas |= {kind: Delta(tensors) for kind, tensors in zip(kinds, found, strict=True)}
        return deltas
