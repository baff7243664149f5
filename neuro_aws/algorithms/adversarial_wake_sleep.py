"""Adversarial Wake-Sleep (Algorithm 1; Eq. 2 for G, Eq. 3 for D and F)."""

import torch
from torch import Tensor

from neuro_aws.algorithms.base import Reduction, feedback_delta, propagate
from neuro_aws.algorithms.credit import CREDITS, ScalarCredit
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, WAKE, Phase


class AdversarialWakeSleep:
    """Feedback predicts the soma in wake; D tells wake from REM; F descends D in wake, gated.

    wake   dG_i = + < (h_i - d_i) psi'(.) h_{i+1}^T >       dD = + d<D> - d penalty
           dF_i = - gate * < teach_{i+1} psi'(.) h_i^T >    (teach: see ``credit``)
    REM    dD = - d<D> - d penalty
    NREM   nothing
    """

    def __init__(
        self,
        credit: str = "layer",
        density: Density = "gaussian",
        kl: float = 1e-3,
        running_baseline: bool = False,
        reduction: Reduction = "sum",
        surprisal: float = 0.0,
    ) -> None:
        self.return_path = credit == "layer_random"
        self.credit = ScalarCredit(running_baseline) if credit == "scalar" else CREDITS[credit]()
        self.density: Density = density
        self.kl = kl
        self.reduction: Reduction = reduction
        self.surprisal = surprisal

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, clamp: Gains
    ) -> NetworkState:
        """Return the activity of one step."""
        return propagate(network, stimulus, phase, noise, clamp)

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dG, dF and dD in wake, dD in REM, nothing in NREM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            weight = surprisal_weight(ach.own.reading.level, self.surprisal)
            deltas[FEEDBACK] = Delta(
                feedback_delta(network, state, self.density, self.reduction, weight)
            )
            deltas[FEEDFORWARD] = self._feedforward(network, state, ach)
        return deltas

    def _feedforward(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal
    ) -> Delta:
        tensors = _joined(self.credit(network, state, ach, self.kl))
        teaching = self.credit.teaching(network, ach)
        if not isinstance(ach.gate, torch.Tensor):
            return Delta(tensors, ach.gate, teaching=teaching)
        mean = ach.gate.mean()
        deviation = _joined(self.credit(network, state, ach, self.kl, ach.gate - mean))
        return Delta(tensors, float(mean), deviation, teaching)


def surprisal_weight(level: Tensor, strength: float) -> Tensor | None:
    """Return exp(strength * (D - mean D) / std D), mean 1 over the batch; None where strength is 0.

    A stimulus that D finds very wake-like is one the dreams do not yet contain: G learns more of
    it.
    """
    if strength == 0:
        return None
    spread, mean = torch.std_mean(level, -1, keepdim=True)
    return torch.softmax(strength * (level - mean) / (spread + 1e-8), -1) * level.shape[-1]


def _joined(parts: list[list[Tensor]]) -> list[Tensor]:
    return [tensor for part in parts for tensor in part]
