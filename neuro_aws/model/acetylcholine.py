"""Neuromodulator #1: acetylcholine, read as the wake/sleep discriminator."""

import itertools
import math

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import (
    Form,
    Weights,
    potential,
    read,
    state_gradient,
)
from neuro_aws.functional.discriminator_plasticity import discriminator_plasticity
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.shapes import like, rows
from neuro_aws.model.state import AcetylcholineSignal, NetworkState, OwnReading
from neuro_aws.phase import NREM, REM, WAKE


def born_weights(
    sizes: list[int], hidden: int, generator: torch.Generator, dtype: torch.dtype, form: Form
) -> Weights:
    """Return sub-discriminators at birth: weights N(0, 1 / fan_in), biases 0."""
    device = generator.device

    def normal(*shape: int, fan_in: int) -> Tensor:
        draws = torch.randn(*shape, generator=generator, dtype=dtype, device=device)
        return draws / math.sqrt(fan_in)

    pairs = list(itertools.pairwise(sizes))
    units = hidden * len(pairs)
    joint = [normal(hidden, a + b, fan_in=a + b) for a, b in pairs]
    bias, readout = torch.zeros(units, dtype=dtype, device=device), normal(units, fan_in=hidden)
    left = [w[:, :a] for w, (a, _) in zip(joint, pairs, strict=True)]
    right = [w[:, a:] for w, (a, _) in zip(joint, pairs, strict=True)]
    inner = [torch.cat(both) for both in zip(right[:-1], left[1:], strict=True)]
    reading = [left[0].contiguous(), *inner, right[-1].contiguous()]
    spread = [normal(len(v), fan_in=v.shape[1]) for v in reading] if form.spread else []
    offset = [torch.zeros((), dtype=dtype, device=device)] if form.pooled else []
    return Weights(reading, bias, readout, spread, offset)


class Acetylcholine:
    """D = sum_i D_i(h_i, h_{i+1}), its release, and the signal it sends back to the layers.

    ``baseline`` is the running mean of D in REM, the zero that release is counted from.
    ``return_path`` replaces the discriminator's own weights on the way back (``layer_random``).
    ``each_draws`` gives D's own learning, its penalty and its teaching noise of their own, as the
    published experiment does; else the three share one draw a step.
    """

    def __init__(
        self,
        weights: Weights,
        form: Form,
        baseline_rate: float = 0.05,
        return_path: Weights | None = None,
        each_draws: bool = False,
    ) -> None:
        self.weights = weights
        self.form = form
        self.baseline_rate = baseline_rate
        self.return_path = return_path
        self.each_draws = each_draws
        self.baseline = torch.zeros((), dtype=weights.bias.dtype, device=weights.bias.device)

    @property
    def parameters(self) -> list[Tensor]:
        """Return the weights, in the order of ``Weights.tensors``."""
        return self.weights.tensors

    def __call__(
        self, state: NetworkState, noise: NoiseSource | None = None
    ) -> AcetylcholineSignal:
        """Return the signal of this step.

        release = D - running mean of D in REM (0 in NREM, when ACh is low); gate = 1 in wake,
        0 in REM and NREM. Noise is drawn for D, then its penalty, then (in wake) its teaching.
        """
        form, weights = self.form, self.weights
        at = potential(weights, form, [rows(h) for h in state.somas])
        noisy = form.sigma > 0 and noise is not None

        def draw() -> Tensor | None:
            return noise.normal(at.value.shape) if noisy and noise is not None else None

        reading = read(weights, form, at, draw())
        penalised = read(weights, form, at, draw()) if noisy and self.each_draws else reading
        gradient = state_gradient(weights, at, penalised.sent)
        taught = penalised
        if noisy and self.each_draws and state.phase is WAKE:
            taught = read(weights, form, at, draw())
        if self.return_path is not None:
            path = read(self.return_path, form, at._replace(value=taught.potential))
            back = state_gradient(self.return_path, at, path.sent)
        else:
            back = gradient if taught is penalised else state_gradient(weights, at, taught.sent)
        teaching = [like(g, h) for g, h in zip(back, state.somas, strict=True)]
        if state.phase is NREM:
            release = torch.zeros_like(reading.level)
        else:
            release = reading.level - self.baseline
        gate = 1.0 if state.phase is WAKE else 0.0
        own = OwnReading(at, reading, penalised, gradient, taught.level)
        return AcetylcholineSignal(reading.level, release, teaching, gate, own)

    def level(self, somas: list[Tensor]) -> Tensor:
        """Return D of each sample, without noise: for measuring."""
        at = potential(self.weights, self.form, [rows(h) for h in somas])
        return read(self.weights, self.form, at).level

    def track(self, signal: AcetylcholineSignal, state: NetworkState) -> None:
        """Move the baseline toward this step's mean D, in REM only."""
        if state.phase is REM:
            self.baseline.lerp_(signal.own.reading.level.mean(), self.baseline_rate)

    def plasticity(self, state: NetworkState, signal: AcetylcholineSignal) -> list[Tensor]:
        """Return the discriminator's own delta: up in wake, down in REM (Eq. 3)."""
        own, sign = signal.own, 1.0 if state.phase is WAKE else -1.0
        return discriminator_plasticity(
            self.weights, self.form, own.at, own.reading, own.penalised, own.gradient, sign
        ).tensors
