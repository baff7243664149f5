"""The variational autoencoder, on the cortex's own layers: learnt in wake, nothing in sleep."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuro_aws.algorithms.base import Declared, propagate
from neuro_aws.algorithms.graph import detached, gradients, leaves_of
from neuro_aws.functional.compartments import fire
from neuro_aws.functional.densities import gaussian_kl, log_density
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.shapes import last, like, rows
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import (
    AcetylcholineSignal,
    Delta,
    Deltas,
    LayerState,
    NetworkState,
    Tensors,
)
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_codes as sections
from neuro_aws.protocol.model import NetworkSection

LOG_VARIANCE = sections.LOG_VARIANCE


@dataclass(frozen=True, slots=True)
class Posterior:
    """What a pass up says of h_N: q(h_N | h_{N-1}) = N(mean, exp(log_variance)), as rows."""

    mean: Tensor
    log_variance: Tensor


@dataclass(frozen=True, slots=True)
class Graph:
    """A wake step's bound of each sample, with its graph, and the leaves it depends on."""

    leaves: dict[str, Tensors]
    bound: Tensor


class Vae:
    """Recognition and generation climb one bound on log p(x) together, by reparameterisation.

    The latents are the potentials a_i of the hidden layers, h_i = psi(a_i), and h_N:

        wake   a_i = F_{i-1} h_{i-1} + b + sigma xi,   h_i = psi(a_i),   h_0 = x       0 < i < N
               h_N = m + sqrt(v) xi,   m = F_{N-1} h_{N-1} + b,   log v = V h_{N-1} + w
               L = log p(x | h_1) + sum_i [ log p(a_i | h_{i+1}) - log q(a_i | h_{i-1}) ]
                   - beta / 2 sum_k ( v_k - log v_k - 1 + m_k^2 )
               dF, dV, dG = + d<L> / d(F, V, G)
        REM    dreams; only D learns

    < > is the batch mean; V (with w, its bias) is the projection ``feedforward_log_variance``, D's
    change is as everywhere. The likelihoods, with c the bias of G and sigma the units' own noise:

        q(a_i | h_{i-1}) = N(F_{i-1} h_{i-1} + b, sigma^2),   q(h_N | h_{N-1}) = N(m, v)
        p(a_i | h_{i+1}) = N(G_i h_{i+1} + c, sigma^2),       p(h_N) = N(0, I)
        p(x | h_1) = N(d_0, s_x^2),   d_0 = psi(G_0 h_1 + c)          s_x: ``stimulus_noise``

    The first two of a_i are Laplacian with standard deviation sigma where ``network.noise.density``
    is; p(x | h_1) is where ``density`` is. h_N is Gaussian always. beta = 1 makes L a bound on log
    p(x) (of one draw; the last term is its expectation, in closed form). What REM dreams are draws
    of this p, but for the stimulus: its noise is that of ``network.noise`` (``bottom: false``
    shows d_0), and drives that are held at a set point have statistics of their own in REM. Gains
    multiply somata, the same in q and in p; likelihoods are those of the potentials.
    Autograd takes the gradient through the whole pass: no locality is claimed.
    Source: Kingma & Welling 2014, Rezende, Mohamed & Wierstra 2014 (layers of latents); beta:
    Higgins et al. 2017.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR),
        REM: (DISCRIMINATOR,),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.Vae, network: NetworkSection) -> None:
        self.beta = section.beta
        self.stimulus_noise = section.stimulus_noise
        self.density = section.density

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step; in wake with the bound and its graph."""
        if phase is not WAKE:
            return propagate(network, stimulus, phase, noise, gains)
        with leaves_of(network, FEEDFORWARD, FEEDBACK) as leaves:
            passed, posterior = self._up(network, stimulus, noise, gains)
            state = network.with_dendrites(passed)
            graph = Graph(leaves, self._bound(network, state, posterior))
        return NetworkState(WAKE, detached(state).layers, graph=graph)

    def recognise(
        self,
        network: Network,
        stimuli: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
    ) -> NetworkState:
        """Return a pass up; without noise h_N is the mean m."""
        return self._up(network, stimuli, noise, gains, running)[0]

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return - <L> with one draw of the latents a stimulus, nats."""
        passed, posterior = self._up(network, stimuli, noise, NO_GAINS)
        return -self._bound(network, network.with_dendrites(passed), posterior).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF (with dV), dG and dD in wake, dD in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            graph = state.graph
            assert isinstance(graph, Graph)
            forward, back = gradients(graph.bound.mean(), graph.leaves, FEEDFORWARD, FEEDBACK)
            deltas |= {FEEDFORWARD: Delta(forward), FEEDBACK: Delta(back)}
        return deltas

    def _up(
        self,
        network: Network,
        stimulus: Tensor,
        noise: NoiseSource | None,
        gains: Gains,
        running: bool = False,
    ) -> tuple[NetworkState, Posterior]:
        """Pass a stimulus up to h_{N-1}, and draw h_N from its own posterior."""
        n = network.depth
        below = network.recognise(stimulus, noise, gains, running, until=n - 1)
        carried = below.layers[-1].transmitted
        layer = network.layers[-1]
        mean, normed = layer.feedforward_potential(carried, running)
        weights = network.parameters(FEEDFORWARD)
        log_variance = rows(carried) @ weights[LOG_VARIANCE].mT + weights[f"{LOG_VARIANCE}_bias"]
        potential, xi = mean, None
        if noise is not None:
            xi = last(noise.normal(mean.shape))
            potential = mean + like(torch.exp(log_variance / 2), mean) * xi
        drive = fire(layer.psi_above, potential)._replace(normed=normed)
        gain = gains.get(n)
        soma = drive.rate if gain is None else drive.rate * gain
        top = LayerState(soma, soma, drive, xi, gain)
        state = NetworkState(WAKE, (*below.layers, top))
        return state, Posterior(rows(mean), log_variance)

    def _bound(self, network: Network, state: NetworkState, posterior: Posterior) -> Tensor:
        """Return L of each sample from a pass up and what feedback predicts of it."""
        stimulus = state.layers[0]
        assert stimulus.dendrite is not None
        apart = rows(stimulus.soma - stimulus.dendrite.rate)
        bound = log_density(apart, self.stimulus_noise, self.density).sum(1)
        sigma, density = network.noise.sigma, network.noise.density
        for layer in state.layers[1:-1]:
            assert layer.drive is not None
            assert layer.dendrite is not None
            assert layer.xi is not None
            apart = rows(layer.drive.potential - layer.dendrite.potential)
            bound = bound + log_density(apart, sigma, density).sum(1)
            bound = bound - log_density(sigma * rows(layer.xi), sigma, density).sum(1)
        return bound - self.beta * gaussian_kl(posterior.mean, posterior.log_variance)
