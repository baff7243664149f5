"""Professor forcing (Goyal, Lamb et al. 2016): free running is to look like teacher forcing."""

from typing import ClassVar

import torch
from torch import Tensor

from neuro_aws.algorithms.base import Declared
from neuro_aws.algorithms.graph import detached, leaves_of
from neuro_aws.algorithms.through_time import (
    GENERATOR,
    Graph,
    climbed,
    forced,
    free,
    held_out_likelihood,
    likelihood,
    listening,
    sequences,
)
from neuro_aws.functional.in_time import times
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.sequence_critic import heard_of
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_in_time as sections
from neuro_aws.protocol.model import NetworkSection


class ProfessorForcing:
    """A recurrent network learns to predict in wake, and in REM to behave as it does in wake.

        wake   NLL as in ``TeacherForcing``
               dF, dL, dG = - d NLL / d(F, L, G) - gate c_t d C_t / d(F, L, G)
               C_t = < -log(1 - D_t(B)) >                        toward REM; c_t = 0: left out
        REM    h_0(t) ~ P(. | h_1(t)), drawn by itself, then read by the next step
               dF, dL, dG = - gate c_f d C_f / d(F, L, G)
               C_f = < -log D_t(B) >                             toward wake
        both   dD = - d < -log D_t > / d(D) in wake,   - d < -log(1 - D_t) > / d(D) in REM

    Symbols: B the sequence of what the dendrites of h_0 predict and of what drives h_1 before its
    tanh, D and its gate as in ``model/sequence_critic.py``; c_f = ``free``, c_t = ``forced``; < >
    the mean over sequences and steps. No gradient passes through what was drawn: h_0 is given, and
    B depends on F, L, G through h_1 at all steps. teach = d log D_t / dB (REM) or d log(1 - D_t) /
    dB (wake) is what ACh sends back, so a clamp, which makes it 0, leaves teacher forcing. All of
    NLL, C_f and C_t are one step of the optimiser, as published, where kinds change once a cycle
    (``apply: cycle``, the default) of as many wake as REM steps. In REM the gate acts after the
    optimiser, on C_t before it. Nothing is learnt in NREM. By autograd through all steps: no
    locality is claimed.
    """

    changes: ClassVar[Declared] = dict.fromkeys((WAKE, REM), (*GENERATOR, DISCRIMINATOR))
    gated: ClassVar[tuple[str, ...]] = GENERATOR
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.ProfessorForcing, network: NetworkSection) -> None:
        self.free, self.forced = section.free, section.forced

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step; in REM with the graph that its symbols leave."""
        if phase is WAKE:
            return forced(network, stimulus, noise, gains, stimulus)
        if phase is NREM:
            return free(network, len(stimulus), phase, noise, gains)
        one = sequences(network)
        symbols = one.run_freely(len(stimulus), one.gated.steps, noise, gains)
        with leaves_of(network, *GENERATOR) as leaves:
            ran = one.ran(symbols, gains)
        return NetworkState(REM, detached(ran).layers, graph=Graph(leaves, ran))

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dL, dG and dD in wake and in REM."""
        if phase is NREM:
            return {}
        deltas, graph = listening(network, state, ach), state.graph
        assert isinstance(graph, Graph)
        taught = heard_back(graph.state, ach)
        if phase is REM:
            gate, uphill = ach.gate, self.free * taught.mean()
            if isinstance(gate, Tensor):  # not asked for: a factor in the sum of the cycle
                gate, uphill = 1.0, self.free * (gate * taught).mean()
            found, sent = climbed(graph, uphill), ach.teaching[1:]
            return deltas | {k: Delta(t, gate, teaching=sent) for k, t in found.items()}
        uphill = -likelihood(graph)
        if self.forced:
            uphill = uphill + self.forced * (ach.gate * taught).mean()
        return deltas | {kind: Delta(tensors) for kind, tensors in climbed(graph, uphill).items()}

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return NLL of stimuli: that C_f does not spoil it is to be shown."""
        return held_out_likelihood(network, stimuli)


def heard_back(state: NetworkState, ach: AcetylcholineSignal) -> Tensor:
    """Return sum teach B of each sample, whose gradient is what ACh teaches."""
    products = [
        (times(teach) * part).sum((1, 2))
        for teach, part in zip(ach.teaching, heard_of(state), strict=True)
    ]
    return torch.stack(products).sum(0)
