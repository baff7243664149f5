"""Doubly Adversarial Wake-Sleep (Algorithm 2; Eq. 5): a second discriminator R, mixed by gamma."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from neuro_aws.algorithms.base import (
    Declared,
    Reduction,
    density_of,
    feedback_delta,
    prediction_error,
    propagate,
)
from neuro_aws.algorithms.graph import detached, gradients, leaves_of
from neuro_aws.functional.densities import kl_to_standard_normal
from neuro_aws.functional.discriminator_plasticity import NORM_EPSILON
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import batch_of
from neuro_aws.functional.shapes import rows
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
from neuro_aws.protocol import theories_of_cortex as sections
from neuro_aws.protocol.model import NetworkSection


@dataclass(frozen=True, slots=True)
class Graph:
    """A step's differentiable passes, and the leaves they depend on.

    ``first`` is read by R, ``penalised`` by its penalty, and ``sent`` by G: in wake the first is
    the step itself, in REM the dream passed up again. With shared draws they are one pass.
    ``seen`` is the stimulus of the penalised pass, ``dreamt`` the dream that G can learn
    through. ``losses`` takes up R of each sample and its penalty, to be looked at.
    """

    leaves: dict[str, Tensors]
    first: NetworkState
    penalised: NetworkState
    seen: Tensor
    sent: NetworkState | None = None
    dreamt: NetworkState | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)


class DoublyAdversarial:
    """Pure Adversarial Wake-Sleep and a GAN on one network: gamma of one, 1 - gamma of the other.

    R(h_{N-1}) separates stimuli from dreams that were passed up again through F (Eq. 5):

        wake   dG = gamma * < (h - d) psi' h^T >          dD = gamma * (d<D> - d penalty)
               dF = - gamma * d<D>/dF - kl dKL/dF + (1 - gamma) * d(<R> - GP_R(x))/dF
               dR = (1 - gamma) * d(<R> - GP_R(x))/dR
        REM    dD = gamma * (- d<D> - d penalty)           dG = (1 - gamma) * d<R(F(x_G))>/dG
               dF, dR = - (1 - gamma) * d(<R(F(x_G))> + GP_R(x_G))

    with GP_R(x) = lambda_R * mean (||grad_x R(F(x))||_2 - 1)^2. gamma = 1 is pure AWS, 0 a WGAN-GP.
    R's credit runs back through all of F, and its penalty is differentiated twice: autograd does
    both; no locality is claimed. ``draws: each`` gives the passes for R, its penalty and G noise of
    their own (in wake: the step, then the penalty's; in REM: the dream, R's, the penalty's, G's);
    ``shared`` passes once. Passes for R stop at h_{N-1}. The gate of ACh acts on what F learns in
    wake (its mean over the batch where it differs by sample); what F learns from R in REM is not
    gated, since ACh is low there and Algorithm 2 learns: ``plasticity: {feedforward: 0}`` stops it.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
        REM: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = (FEEDFORWARD,)
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.DoublyAdversarial, network: NetworkSection) -> None:
        self.gamma = section.gamma
        self.density = density_of(section, network)
        self.kl = section.kl
        self.reduction: Reduction = section.reduction
        self.each_draws = network.discriminator.draws == "each"

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step, with the passes that R needs in ``graph``."""
        if phase is NREM:
            return propagate(network, stimulus, phase, noise, gains)
        graph = self._wake if phase is WAKE else self._rem
        return graph(network, stimulus, noise, gains)

    def _wake(
        self, network: Network, stimulus: Tensor, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        with leaves_of(network, FEEDFORWARD, READOUT) as leaves:
            x = network.admit(stimulus).detach().clone().requires_grad_()
            first = network.recognise(x, noise, gains)
            again = _to_readout(network, x, noise, gains) if self.each_draws else first
        with torch.no_grad():
            state = network.with_dendrites(detached(first))
        passes = (again,) if self.each_draws else ()
        graph = Graph(leaves, first, again, x)
        return NetworkState(WAKE, state.layers, tuple(map(detached, passes)), graph)

    def _rem(self, network: Network, top: Tensor, noise: NoiseSource, gains: Gains) -> NetworkState:
        with leaves_of(network, FEEDFORWARD, FEEDBACK, READOUT) as leaves:
            dreamt = network.dream(top, noise, gains)
            x = dreamt.layers[0].soma
            seen = x.detach().requires_grad_()
            first = _to_readout(network, seen, noise, gains)
            again = _to_readout(network, seen, noise, gains) if self.each_draws else first
            sent = _to_readout(network, x, noise, gains) if self.each_draws else None
        passes = [first, again, sent] if sent is not None else [first]
        graph = Graph(leaves, first, again, seen, sent, dreamt)
        return NetworkState(REM, detached(dreamt).layers, tuple(map(detached, passes)), graph)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return what G descends in wake, mean over stimuli."""
        return prediction_error(network, stimuli).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dG, dF, dD and dR, each in both phases."""
        if phase is NREM:
            return {}
        own = network.acetylcholine.plasticity(state, ach, self.gamma)
        deltas: Deltas = {DISCRIMINATOR: Delta(own)}
        graph = state.graph
        assert isinstance(graph, Graph)
        rule = self._wake_deltas if phase is WAKE else self._rem_deltas
        deltas |= rule(network, state, ach, graph)
        return deltas

    def _wake_deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, graph: Graph
    ) -> Deltas:
        feedback = feedback_delta(network, state, self.density, self.reduction)
        batch = batch_of(state.layers[0].soma)
        objective = self._readout(network, graph, sign=1.0)[0]
        for teach, layer in zip(ach.teaching[1:], graph.first.layers[1:], strict=True):
            objective = objective - (self.gamma / batch) * (teach.detach() * layer.soma).sum()
        if self.kl:
            top = rows(graph.first.layers[-1].soma)
            objective = objective - self.kl * kl_to_standard_normal(top)
        forward, readout = gradients(objective, graph.leaves, FEEDFORWARD, READOUT)
        gate = ach.gate if isinstance(ach.gate, float) else ach.gate.mean().double()
        return {
            FEEDBACK: Delta(_times(self.gamma, feedback)),
            FEEDFORWARD: Delta(forward, gate, teaching=ach.teaching[1:]),
            READOUT: Delta(readout),
        }

    def _rem_deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, graph: Graph
    ) -> Deltas:
        objective, slope = self._readout(network, graph, sign=-1.0)
        forward, readout = gradients(objective, graph.leaves, FEEDFORWARD, READOUT)
        assert graph.dreamt is not None
        x = graph.dreamt.layers[0].soma
        if graph.sent is not None:
            level = network.readout_level(graph.sent, graph.leaves[READOUT])
            graph.losses["readout_for_generator"] = level.detach()
            (slope,) = torch.autograd.grad(level.sum(), x, retain_graph=True)
        objective = ((1 - self.gamma) / len(x)) * (x * slope.detach()).sum()
        (feedback,) = gradients(objective, graph.leaves, FEEDBACK)
        return {
            FEEDFORWARD: Delta(forward),
            FEEDBACK: Delta(feedback),
            READOUT: Delta(readout),
        }

    def _readout(self, network: Network, graph: Graph, sign: float) -> tuple[Tensor, Tensor]:
        """Return (1 - gamma) (sign <R> - GP_R) and grad_x R of the penalised pass."""
        readout = graph.leaves[READOUT]
        level = network.readout_level(graph.first, readout)
        again = level
        if graph.penalised is not graph.first:
            again = network.readout_level(graph.penalised, readout)
        (slope,) = torch.autograd.grad(again.sum(), graph.seen, create_graph=True)
        norm = torch.sqrt(slope.flatten(1).square().sum(1) + NORM_EPSILON)
        assert network.readout is not None
        penalty = network.readout.penalty * (norm - 1).square().mean()
        graph.losses.update(readout=level.detach(), readout_penalty=penalty.detach())
        return (1 - self.gamma) * (sign * level.mean() - penalty), slope


def _to_readout(
    network: Network, stimulus: Tensor, noise: NoiseSource, gains: Gains
) -> NetworkState:
    """Pass a stimulus up for R, which reads h_{N-1}: nothing above it is fired or tracked."""
    return network.recognise(stimulus, noise, gains, until=network.depth - 1)


def _times(factor: float, tensors: Tensors) -> Tensors:
    """Return fresh tensors multiplied by a factor, in place."""
    return {name: tensor.mul_(factor) for name, tensor in tensors.items()}
