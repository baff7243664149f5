"""The neuromodulator slot: what an experimenter does to ACh between its release and its targets."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.model.state import AcetylcholineSignal
from neuro_aws.protocol.perturb import Clamp, Pair, Perturbation, Yoke

Act = Callable[[AcetylcholineSignal, Tensor | None, Draws], AcetylcholineSignal]
"""(signal, labels of the batch, random numbers of this step) -> signal."""


def clamp(rule: Clamp) -> Act:
    """Hold release constant, so that its gradient is 0: teaching 0, gate and D's reading intact."""

    def act(
        signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        constant = torch.full_like(signal.level, rule.level)
        silent = [torch.zeros_like(teach) for teach in signal.teaching]
        return replace(signal, level=constant, release=constant, teaching=silent, constant=True)

    return act


def block() -> Act:
    """Gate 0: released ACh is without effect; D and its teaching signal are intact."""

    def act(
        signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        return replace(signal, gate=0.0)

    return act


def pair(rule: Pair) -> Act:
    """Multiply the gate by the gain for the stimuli of the chosen labels."""

    def act(
        signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        if labels is None or (isinstance(signal.gate, float) and signal.gate == 0.0):
            return signal
        chosen = torch.isin(labels, torch.tensor(rule.labels, device=labels.device))
        gain = 1 + (rule.gain - 1) * chosen.to(signal.level.dtype)
        return replace(signal, gate=signal.gate * gain)

    return act


def yoke(rule: Yoke) -> Act:
    """Teaching by a signal of the same size that is another sample's, or random."""
    return _shuffled if rule.teaching == "shuffled" else _random


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


def act_of(perturbation: Perturbation) -> Act | None:
    """Return what a perturbation does in this slot, or None."""
    if perturbation.clamp is not None:
        return clamp(perturbation.clamp)
    if perturbation.block is not None:
        return block()
    if perturbation.pair is not None:
        return pair(perturbation.pair)
    if perturbation.yoke is not None:
        return yoke(perturbation.yoke)
    return None
