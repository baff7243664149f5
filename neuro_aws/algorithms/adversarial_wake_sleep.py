"""Adversarial Wake-Sleep (Algorithm 1; Eq. 2 for G, Eq. 3 for D and F)."""

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
from neuro_aws.algorithms.credit import CREDITS, ScalarCredit
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_cortex as sections
from neuro_aws.protocol.model import NetworkSection


class AdversarialWakeSleep:
    """Feedback predicts the soma in wake; D separates wake from REM; F descends D in wake, gated.

    wake   dG_i = + < (h_i - d_i) psi'(.) h_{i+1}^T >       dD = + d<D> - d penalty
           dF_i = - gate * < teach_{i+1} psi'(.) h_i^T >    (teach: see ``credit``)
    REM    dD = - d<D> - d penalty
    NREM   nothing
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR),
        REM: (DISCRIMINATOR,),
    }
    gated: ClassVar[tuple[str, ...]] = (FEEDFORWARD,)

    def __init__(self, section: sections.AdversarialWakeSleep, network: NetworkSection) -> None:
        scalar = section.credit == "scalar"
        running = section.baseline == "running"
        self.return_path = section.credit == "layer_random"
        self.credit = ScalarCredit(running) if scalar else CREDITS[section.credit]()
        self.density = density_of(section, network)
        self.kl = section.kl
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
        """Return dG, dF and dD in wake, dD in REM, nothing in NREM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            deltas[FEEDBACK] = Delta(feedback_delta(network, state, self.density, self.reduction))
            deltas[FEEDFORWARD] = self._feedforward(network, state, ach)
        return deltas

    def _feedforward(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal
    ) -> Delta:
        tensors = self.credit(network, state, ach, self.kl)
        teaching = self.credit.teaching(network, ach)
        if not isinstance(ach.gate, torch.Tensor):
            return Delta(tensors, ach.gate, teaching=teaching)
        mean = ach.gate.mean()
        deviation = self.credit(network, state, ach, self.kl, ach.gate - mean)
        return Delta(tensors, mean.double(), deviation, teaching)
