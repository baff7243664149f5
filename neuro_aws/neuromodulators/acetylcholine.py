"""Neuromodulator #1: acetylcholine, read as the wake/sleep discriminator."""

import itertools
import math

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import (
    Pair,
    by_layer,
    discriminator_plasticity,
    read,
    state_gradients,
)
from neuro_aws.phase import NREM, REM, WAKE
from neuro_aws.state import AcetylcholineSignal, NetworkState


def born_pairs(
    sizes: list[int], hidden: int, generator: torch.Generator, dtype: torch.dtype
) -> list[Pair]:
    """Return sub-discriminators at birth: weights N(0, 1 / fan_in), biases 0."""
    device = generator.device

    def normal(*shape: int, fan_in: int) -> Tensor:
        draws = torch.randn(*shape, generator=generator, dtype=dtype, device=device)
        return draws / math.sqrt(fan_in)

    return [
        Pair(
            normal(hidden, below + above, fan_in=below + above),
            torch.zeros(hidden, dtype=dtype, device=device),
            normal(hidden, fan_in=hidden),
        )
        for below, above in itertools.pairwise(sizes)
    ]


class Acetylcholine:
    """D = sum_i D_i(h_i, h_{i+1}), its release, and the signal it sends back to the layers.

    ``baseline`` is the running mean of D in REM, the zero that release is counted from.
    ``return_path`` replaces the discriminator's own weights on the way back (``layer_random``).
    """

    def __init__(
        self,
        pairs: list[Pair],
        penalty: float,
        baseline_rate: float = 0.05,
        return_path: list[Pair] | None = None,
    ) -> None:
        self.pairs = pairs
        self.penalty = penalty
        self.baseline_rate = baseline_rate
        self.return_path = return_path
        self.baseline = torch.zeros((), dtype=pairs[0].bias.dtype, device=pairs[0].bias.device)

    @property
    def parameters(self) -> list[Tensor]:
        """Return the weights, pair by pair: weight, bias, readout."""
        return [tensor for pair in self.pairs for tensor in pair]

    def __call__(self, state: NetworkState) -> AcetylcholineSignal:
        """Return the signal of this step.

        release = D - running mean of D in REM (0 in NREM, when ACh is low); gate = 1 in wake,
        0 in REM and NREM.
        """
        somas = state.somas
        sizes = [h.shape[-1] for h in somas]
        reading = read(self.pairs, somas)
        gradient = state_gradients(self.pairs, reading)
        if self.return_path is None:
            teaching = by_layer(gradient, sizes)
        else:
            teaching = by_layer(state_gradients(self.return_path, reading), sizes)
        if state.phase is NREM:
            release = torch.zeros_like(reading.level)
        else:
            release = reading.level - self.baseline
        gate = 1.0 if state.phase is WAKE else 0.0
        return AcetylcholineSignal(reading.level, release, teaching, gate, reading, gradient)

    def track(self, signal: AcetylcholineSignal, state: NetworkState) -> None:
        """Move the baseline toward this step's mean D, in REM only."""
        if state.phase is REM:
            self.baseline.lerp_(signal.reading.level.mean(), self.baseline_rate)

    def plasticity(self, state: NetworkState, signal: AcetylcholineSignal) -> list[Tensor]:
        """Return the discriminator's own delta: up in wake, down in REM (Eq. 3)."""
        sign = 1.0 if state.phase is WAKE else -1.0
        deltas = discriminator_plasticity(
            self.pairs, signal.reading, signal.gradient, sign, self.penalty
        )
        return [tensor for pair in deltas for tensor in pair]
