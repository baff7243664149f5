"""A null: inference stays as initialised (or as it was at the branch); the rest learns."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.base import (
    Declared,
    Reduction,
    density_of,
    feedback_delta,
    prediction_error,
    propagate,
)
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_cortex as sections
from neuro_aws.protocol.model import NetworkSection


class Frozen:
    """No feedforward learning: dF = 0; dG and dD as in Adversarial Wake-Sleep."""

    changes: ClassVar[Declared] = {WAKE: (FEEDBACK, DISCRIMINATOR), REM: (DISCRIMINATOR,)}
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False

    def __init__(self, section: sections.Frozen, network: NetworkSection) -> None:
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
        """Return dG and dD in wake, dD in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            deltas[FEEDBACK] = Delta(feedback_delta(network, state, self.density, self.reduction))
        return deltas
