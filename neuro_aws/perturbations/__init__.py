"""Perturbations in four slots (stimulus, activity, neuromodulator, plasticity) that compose."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.model.state import AcetylcholineSignal
from neuro_aws.perturbations import activity, eyes, neuromodulator
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL, WAKE, Phase
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.stimuli.dataset import Dataset


@dataclass(frozen=True)
class Slots:
    """What is done in one phase: each slot is a value or a chain of functions."""

    gains: dict[int, Tensor] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    stimulus_acts: tuple[eyes.Act, ...] = ()
    ach_acts: tuple[neuromodulator.Act, ...] = ()

    def stimulus(self, stimulus: Tensor, draws: Draws) -> Tensor:
        """Return the stimulus as the animal gets it."""
        for act in self.stimulus_acts:
            stimulus = act(stimulus, draws)
        return stimulus

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return the ACh signal as it reaches the synapses."""
        for act in self.ach_acts:
            signal = act(signal, labels, draws)
        return signal


def slots(
    perturbations: Sequence[Perturbation],
    phase: Phase,
    usual: dict[str, float],
    spec: ProtocolSpec,
    dataset: Dataset,
    animal: int,
) -> Slots:
    """Return the slots for the perturbations in force; ``usual`` are the period's own scales."""
    scales = dict(usual)
    for p in perturbations:
        if p.plasticity is not None:
            scales[FEEDFORWARD] *= p.plasticity.feedforward
            scales[FEEDBACK] *= p.plasticity.feedback
            scales[LATERAL] *= p.plasticity.lateral
            scales[DISCRIMINATOR] *= p.plasticity.discriminator
        if p.clamp is not None and p.clamp.discriminator == "held":
            scales[DISCRIMINATOR] = 0.0
    ach_acts = tuple(a for p in perturbations if (a := neuromodulator.act_of(p)) is not None)
    stimulus_acts = tuple(e for p in perturbations if (e := eyes.act_of(p, dataset)) is not None)
    dtype, device = dataset.train.dtype, dataset.train.device
    return Slots(
        activity.gains(perturbations, spec, animal, dtype, device),
        scales,
        stimulus_acts if phase is WAKE else (),
        ach_acts,
    )


__all__ = ["Slots", "slots"]
