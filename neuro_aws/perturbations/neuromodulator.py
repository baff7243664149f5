"""The neuromodulator slot: what an experimenter does to ACh between its release and its targets."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.model.state import AcetylcholineSignal
from neuro_aws.perturbations.plasticity import HOMEOSTASIS
from neuro_aws.perturbations.setting import Setting
from neuro_aws.phase import DISCRIMINATOR
from neuro_aws.protocol.actions_on_learning import Block, Clamp, Dose, Pair, Yoke


class ClampAch:
    """Hold release constant, so that its gradient is 0: teaching 0, gate and D's reading intact.

    D goes on learning, or (``discriminator: held``) its changes are multiplied by 0.
    """

    def __init__(self, rule: Clamp, setting: Setting) -> None:
        self.rule = rule

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return the signal with a teaching signal of 0."""
        constant = torch.full_like(signal.level, self.rule.level)
        silent = [torch.zeros_like(teach) for teach in signal.teaching]
        return replace(signal, level=constant, release=constant, teaching=silent, constant=True)

    def plasticity(self) -> Mapping[str, float]:
        """Return the factor on D's changes."""
        return {DISCRIMINATOR: 0.0} if self.rule.discriminator == "held" else {}


class Blocked:
    """Of ACh: gate 0, released ACh is without effect; D and its teaching signal are intact.

    Of homeostasis: running statistics and thresholds stay as they were when the block began.
    """

    def __init__(self, rule: Block, setting: Setting) -> None:
        self.rule = rule

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return the signal, behind a closed gate if ACh is blocked."""
        return signal if self.rule.neuromodulator is None else replace(signal, gate=0.0)

    def plasticity(self) -> Mapping[str, float]:
        """Return the factor 0 on homeostasis, if that is blocked."""
        return {} if self.rule.homeostasis is None else {HOMEOSTASIS: 0.0}


class ScaleGate:
    """gate = factor * gate, for all stimuli or those of chosen labels: ``dose`` and ``pair``.

    The gate acts on the weight change after the optimiser: a factor of 0.5 halves what is applied.
    """

    def __init__(self, rule: Dose | Pair, setting: Setting) -> None:
        self.factor, self.labels = rule.factor, rule.labels
        known = setting.dataset.train_labels
        self._chosen: Tensor | None = None  # copied to the device once, not in every step
        if rule.labels is not None and known is not None:
            self._chosen = torch.tensor(rule.labels, device=known.device)

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return the signal with its gate multiplied: one for each sample if by label."""
        closed = isinstance(signal.gate, float) and signal.gate == 0.0
        if closed or self.factor == 1:
            return signal
        if self.labels is None:
            return replace(signal, gate=self.factor * signal.gate)
        if labels is None or self._chosen is None:
            return signal
        chosen = (labels[:, None] == self._chosen).any(1)
        factor = 1 + (self.factor - 1) * chosen.to(signal.level.dtype)
        return replace(signal, gate=signal.gate * factor)


class YokeTeaching:
    """Teaching by a signal of the same size that is another sample's, or random."""

    def __init__(self, rule: Yoke, setting: Setting) -> None:
        self.form = _shuffled if rule.teaching == "shuffled" else _random

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return a signal that does not depend on this sample."""
        return self.form(signal, labels, draws)


def _shuffled(
    signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
) -> AcetylcholineSignal:
    """Give every sample the signal of another one: one random permutation of the batch."""
    keys = draws.uniform(signal.level.shape)
    order = torch.argsort(keys, dim=-1)
    return replace(
        signal,
        level=signal.level[order],
        release=signal.release[order],
        teaching=[teach[order] for teach in signal.teaching],
    )


def _random(
    signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
) -> AcetylcholineSignal:
    """Give every sample, at every layer, a vector of its own length in a random direction.

    ACh itself becomes random numbers of its own mean and spread over the batch.
    """
    teaching = []
    for teach in signal.teaching:
        direction = draws.normal(teach.shape)
        axes = tuple(range(1, teach.dim())) if teach.dim() == 4 else (-1,)
        length = teach.norm(dim=axes, keepdim=True) / direction.norm(dim=axes, keepdim=True)
        teaching.append(direction * length)
    spread, mean = torch.std_mean(signal.level, dim=-1, keepdim=True)
    deviation = spread * draws.normal(signal.level.shape)
    offset = (signal.release - signal.level).mean(-1, keepdim=True)
    level = mean + deviation
    return replace(signal, level=level, release=level + offset, teaching=teaching)
