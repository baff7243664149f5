"""Perturbations in four slots (stimulus, activity, neuromodulator, plasticity) that compose."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.model.state import AcetylcholineSignal
from neuro_aws.perturbations.activity import composed
from neuro_aws.perturbations.plasticity import HOMEOSTASIS
from neuro_aws.perturbations.setting import PerturbsNeuromodulator, PerturbsStimulus, Setting
from neuro_aws.phase import WAKE, Phase
from neuro_aws.protocol.entry import RATE
from neuro_aws.protocol.perturb import PERTURBATIONS, Perturbation
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.stimuli.dataset import Dataset


@dataclass(frozen=True)
class Slots:
    """What is done in one phase: factors on rates and on changes, and chains of objects."""

    gains: dict[int, Tensor] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    on_stimulus: tuple[PerturbsStimulus, ...] = ()
    on_ach: tuple[PerturbsNeuromodulator, ...] = ()

    @property
    def homeostasis(self) -> bool:
        """Say whether homeostasis goes on."""
        return self.scales.get(HOMEOSTASIS, 1.0) != 0

    def stimulus(self, stimulus: Tensor, draws: Draws, labels: Tensor | None = None) -> Tensor:
        """Return the stimulus as the animal gets it."""
        for one in self.on_stimulus:
            stimulus = one.stimulus(stimulus, labels, draws)
        return stimulus

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return the ACh signal as it reaches the synapses."""
        for one in self.on_ach:
            signal = one.neuromodulator(signal, labels, draws)
        return signal


def made(perturbation: Perturbation, setting: Setting) -> Any:
    """Return the object that carries out a perturbation; None where the schedule does."""
    entry = PERTURBATIONS[perturbation.action]
    return entry.load()(perturbation.rule, setting) if entry.code[RATE] else None


def slots(
    perturbations: Sequence[Perturbation],
    phase: Phase,
    usual: dict[str, float],
    spec: ProtocolSpec,
    dataset: Dataset,
    animal: int,
) -> Slots:
    """Return the slots for the perturbations in force; ``usual`` are the period's own scales."""
    acting = [made(p, Setting(spec, animal, dataset)) for p in perturbations]
    scales = dict(usual)
    for one in _with(acting, "plasticity"):
        for kind, factor in one.plasticity().items():
            scales[kind] = scales.get(kind, 1.0) * factor
    dtype, device = dataset.train.dtype, dataset.train.device
    return Slots(
        composed(_with(acting, "activity"), spec, dtype, device),
        scales,
        tuple(_with(acting, "stimulus")) if phase is WAKE else (),
        tuple(_with(acting, "neuromodulator")),
    )


def _with(acting: Sequence[Any], slot: str) -> list[Any]:
    return [one for one in acting if callable(getattr(one, slot, None))]


__all__ = ["Slots", "made", "slots"]
