"""Neuromodulator #1: acetylcholine, read as the wake/sleep discriminator."""

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
from neuro_aws.protocol.model import NetworkSection


def form_of(section: NetworkSection) -> Form:
    """Return the form of discriminator that a network's settings ask for."""
    given = section.discriminator
    return Form(
        given.slope,
        given.pooled,
        given.spread,
        given.noise,
        given.penalty,
        given.penalty_form,
        given.penalty_scope,
        section.products == "bfloat16",
    )


class Acetylcholine:
    """D = sum_i D_i(h_i, h_{i+1}), its release, and the signal it sends back to the layers.

    ``baseline`` is the running mean of D in REM, the zero that release is counted from.
    ``return_path`` replaces the discriminator's own weights on the way back (``layer_random``).
    With ``draws: each`` D's own learning, its penalty and its teaching have noise of their own, as
    in the published experiment; else the three share one draw a step.
    """

    def __init__(
        self, section: NetworkSection, weights: Weights, return_path: Weights | None = None
    ) -> None:
        self.weights = weights
        self.form = form_of(section)
        self.baseline_rate = section.discriminator.baseline_rate
        self.return_path = return_path
        self.each_draws = section.discriminator.draws == "each"
        self.baseline = torch.zeros((), dtype=weights.bias.dtype, device=weights.bias.device)

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
        sender = penalised
        if noisy and self.each_draws and state.phase is WAKE:
            sender = read(weights, form, at, draw())
        if self.return_path is not None:
            path = read(self.return_path, form, at._replace(value=sender.potential))
            back = state_gradient(self.return_path, at, path.sent)
        else:
            back = gradient if sender is penalised else state_gradient(weights, at, sender.sent)
        teaching = [like(g, h) for g, h in zip(back, state.somas, strict=True)]
        if state.phase is NREM:
            release = torch.zeros_like(reading.level)
        else:
            release = reading.level - self.baseline
        gate = 1.0 if state.phase is WAKE else 0.0
        own = OwnReading(at, reading, penalised, gradient, sender.level)
        return AcetylcholineSignal(reading.level, release, teaching, gate, own)

    def buffers(self) -> dict[str, Tensor]:
        """Return what it keeps beside its weights, by name."""
        return {"baseline": self.baseline}

    def level(self, somas: list[Tensor]) -> Tensor:
        """Return D of each sample, without noise: for measuring."""
        at = potential(self.weights, self.form, [rows(h) for h in somas])
        return read(self.weights, self.form, at).level

    def track(self, signal: AcetylcholineSignal, state: NetworkState) -> None:
        """Move the baseline toward this step's mean D, in REM only."""
        if state.phase is REM:
            self.baseline.lerp_(signal.own.reading.level.mean(), self.baseline_rate)

    def plasticity(
        self, state: NetworkState, signal: AcetylcholineSignal, factor: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the discriminator's own delta: up in wake, down in REM (Eq. 3), times a factor."""
        own, sign = signal.own, 1.0 if state.phase is WAKE else -1.0
        assert isinstance(own, OwnReading)
        return discriminator_plasticity(
            self.weights,
            self.form,
            own.at,
            own.reading,
            own.penalised,
            own.gradient,
            sign,
            factor,
        ).tensors
