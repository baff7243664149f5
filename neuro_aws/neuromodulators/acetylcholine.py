"""Neuromodulator #1: acetylcholine, read as the wake/sleep discriminator."""

import itertools
import math

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import (
    Weights,
    by_layer,
    discriminator_plasticity,
    read,
    sent_back,
    state_gradient,
)
from neuro_aws.phase import NREM, REM, WAKE
from neuro_aws.state import AcetylcholineSignal, NetworkState


def born_weights(
    sizes: list[int], hidden: int, generator: torch.Generator, dtype: torch.dtype
) -> Weights:
    """Return sub-discriminators at birth: weights N(0, 1 / fan_in), biases 0."""
    device = generator.device

    def normal(*shape: int, fan_in: int) -> Tensor:
        draws = torch.randn(*shape, generator=generator, dtype=dtype, device=device)
        return draws / math.sqrt(fan_in)

    pairs = list(itertools.pairwise(sizes))
    joint = [normal(hidden, a + b, fan_in=a + b) for a, b in pairs]
    units = hidden * len(pairs)
    return Weights(
        joint, torch.zeros(units, dtype=dtype, device=device), normal(units, fan_in=hidden)
    )


class Acetylcholine:
    """D = sum_i D_i(h_i, h_{i+1}), its release, and the signal it sends back to the layers.

    ``baseline`` is the running mean of D in REM, the zero that release is counted from.
    ``return_path`` replaces the discriminator's own weights on the way back (``layer_random``).
    """

    def __init__(
        self,
        weights: Weights,
        penalty: float,
        baseline_rate: float = 0.05,
        return_path: Weights | None = None,
    ) -> None:
        self.weights = weights
        self.penalty = penalty
        self.baseline_rate = baseline_rate
        self.return_path = return_path
        self.baseline = torch.zeros((), dtype=weights.bias.dtype, device=weights.bias.device)

    @property
    def parameters(self) -> list[Tensor]:
        """Return the weights: every pair's W_i, then all biases, then all readouts."""
        return [*self.weights.joint, self.weights.bias, self.weights.readout]

    def __call__(self, state: NetworkState) -> AcetylcholineSignal:
        """Return the signal of this step.

        release = D - running mean of D in REM (0 in NREM, when ACh is low); gate = 1 in wake,
        0 in REM and NREM.
        """
        somas = state.somas
        sizes = [h.shape[-1] for h in somas]
        reading = read(self.weights, somas)
        sent = sent_back(self.weights, reading)
        gradient = state_gradient(self.weights, reading, sent)
        if self.return_path is None:
            teaching = by_layer(gradient, sizes)
        else:
            path = self.return_path
            teaching = by_layer(state_gradient(path, reading, sent_back(path, reading)), sizes)
        if state.phase is NREM:
            release = torch.zeros_like(reading.level)
        else:
            release = reading.level - self.baseline
        gate = 1.0 if state.phase is WAKE else 0.0
        return AcetylcholineSignal(reading.level, release, teaching, gate, reading, sent, gradient)

    def track(self, signal: AcetylcholineSignal, state: NetworkState) -> None:
        """Move the baseline toward this step's mean D, in REM only."""
        if state.phase is REM:
            self.baseline.lerp_(signal.reading.level.mean(), self.baseline_rate)

    def plasticity(self, state: NetworkState, signal: AcetylcholineSignal) -> list[Tensor]:
        """Return the discriminator's own delta: up in wake, down in REM (Eq. 3)."""
        sign = 1.0 if state.phase is WAKE else -1.0
        delta = discriminator_plasticity(
            self.weights, signal.reading, signal.sent, signal.gradient, sign, self.penalty
        )
        return [*delta.joint, delta.bias, delta.readout]
