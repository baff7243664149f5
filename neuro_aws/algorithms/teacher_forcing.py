"""Teacher forcing (Williams & Zipser 1989): a recurrent network learns in wake alone."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.base import Declared
from neuro_aws.algorithms.through_time import (
    GENERATOR,
    forced,
    free,
    held_out_likelihood,
    predicting,
)
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, REM, WAKE, Phase
from neuro_aws.protocol import theories_in_time as sections
from neuro_aws.protocol.model import NetworkSection


class TeacherForcing:
    """Every symbol is predicted from the true ones before it.

        wake   NLL = < -log P(y_t | h_1(t)) >,   h_1(t) = GRU(y_{t-1}, h_1(t-1)),   h_0(t) = y_t
               dF, dL, dG = - d NLL / d(F, L, G)                 through time
        REM    free running; nothing but D learns

    Symbols: y_t the symbol at step t; P(y_t | h_1(t)) = softmax(G h_1(t) + c) at it, what the
    dendrite of h_0 predicts; < > the mean over sequences and steps, nats a symbol; F = [W, b] and
    L = [U, c] the weights of the gated units (``functional/gru.py``). D, read as ACh, tells wake
    from REM and has no effect. Nothing is learnt in NREM. By autograd through all steps: no
    locality is claimed.
    """

    changes: ClassVar[Declared] = {WAKE: (*GENERATOR, DISCRIMINATOR), REM: (DISCRIMINATOR,)}
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.TeacherForcing, network: NetworkSection) -> None:
        """Take nothing from the settings: rates and optimisers act on Deltas."""

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: driven by the sequence in wake, free in sleep."""
        if phase is WAKE:
            return forced(network, stimulus, noise, gains, stimulus)
        return free(network, len(stimulus), phase, noise, gains)

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dL and dG in wake, dD in wake and REM."""
        return predicting(network, state, ach, phase)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return NLL of stimuli."""
        return held_out_likelihood(network, stimuli)
