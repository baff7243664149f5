"""Classic Wake-Sleep, a baseline. ACh is computed and recorded, and has no effect."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.base import (
    Declared,
    Reduction,
    density_of,
    feedback_delta,
    prediction_error,
    propagate,
    recognition_delta,
)
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_cortex as sections
from neuro_aws.protocol.model import NetworkSection


class WakeSleep:
    """Each direction learns to predict what the other one makes the somata fire.

        wake   dG_i = + < (h_i - d_i) psi'(.) h_{i+1}^T >           (ascent on log p(h_i | h_{i+1}))
        REM    dF_i = + < (h_{i+1} - psi(a_i)) psi'(a_i) h_i^T >    (ascent on log p(h_{i+1} | h_i))

    ``density: laplacian`` puts the sign in place of both differences. D learns to separate wake
    from REM, so that ACh can be read; neither its teaching signal nor its gate has an effect.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDBACK, DISCRIMINATOR),
        REM: (FEEDFORWARD, DISCRIMINATOR),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False

    def __init__(self, section: sections.WakeSleep, network: NetworkSection) -> None:
        self.density = density_of(section, network)
        self.reduction: Reduction = section.reduction

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step."""
        return propagate(network, stimulus, phase, noise, gains)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return what G descends in wake, mean over stimuli."""
        return prediction_error(network, stimuli).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dG in wake, dF in REM, dD in both."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            deltas[FEEDBACK] = Delta(feedback_delta(network, state, self.density, self.reduction))
        else:
            found = recognition_delta(network, state, self.density, self.reduction)
            deltas[FEEDFORWARD] = Delta(found)
        return deltas
