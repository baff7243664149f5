"""Scheduled sampling (Bengio et al. 2015): ever more of the inputs are the network's own."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.asked import Memory
from neuro_aws.algorithms.base import Declared
from neuro_aws.algorithms.through_time import (
    GENERATOR,
    forced,
    free,
    held_out_likelihood,
    predicting,
    sequences,
)
from neuro_aws.functional.in_time import maps, times
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, REM, WAKE, Phase
from neuro_aws.protocol import theories_in_time as sections
from neuro_aws.protocol.model import NetworkSection

WAKING = "waking_steps"
"""Name in memory of the number of wake steps so far."""


class ScheduledSampling:
    """Every symbol is predicted from symbols of which some are true and some its own.

        wake   e = min(most, most * n / over)
               h_0(t) = y_t with probability 1 - e,  else ~ P(. | h_1(t))
               NLL = < -log P(y_t | h_1(t)) >,   h_1(t) = GRU(h_0(t-1), h_1(t-1))
               dF, dL, dG = - d NLL / d(F, L, G)                 through time
        REM    free running; nothing but D learns

    Symbols: n the wake steps so far; ``most`` and ``over``, where e ends and after how many steps;
    the others as in ``TeacherForcing``, of which it is the case e = 0, to the bit. No gradient
    passes through what was drawn. D, read as ACh, reads h_0 and h_1 as they fire and has no effect.
    """

    changes: ClassVar[Declared] = {WAKE: (*GENERATOR, DISCRIMINATOR), REM: (DISCRIMINATOR,)}
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.ScheduledSampling, network: NetworkSection) -> None:
        self.most, self.over = section.most, section.over
        self.memory: Memory = {}

    def own_share(self, like: Tensor) -> Tensor:
        """Return e."""
        steps = self.memory.get(WAKING, like.new_zeros(()))
        return self.most * (steps.to(like) / self.over).clamp(max=1)

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: driven by a mixture in wake, free in sleep."""
        if phase is not WAKE:
            return free(network, len(stimulus), phase, noise, gains)
        shown = stimulus
        if self.most:
            true = times(network.admit(stimulus))
            given = noise.uniform(true.shape[:2]) >= self.own_share(true)
            one, above = sequences(network), {i: gain for i, gain in gains.items() if i}
            shown = maps(one.run_freely(len(true), true.shape[1], noise, above, (true, given)))
        return forced(network, shown, noise, gains, stimulus)

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dL and dG in wake, dD in wake and REM."""
        return predicting(network, state, ach, phase)

    def track(self, network: Network, state: NetworkState) -> None:
        """Count the wake steps."""
        if state.phase is WAKE:
            self.memory[WAKING] = self.memory.get(WAKING, state.somas[0].new_zeros(())) + 1

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return NLL of stimuli under teacher forcing."""
        return held_out_likelihood(network, stimuli)
