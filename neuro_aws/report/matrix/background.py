"""What is done beside a manipulation, by what that asks: when weights learn, ACh, homeostasis."""

from collections.abc import Sequence
from enum import Enum, auto

from neuro_aws.experiment.matrix.acts import SLEEP
from neuro_aws.experiment.matrix.cells import of_ach
from neuro_aws.phase import FEEDFORWARD, Phase
from neuro_aws.protocol.perturb import Perturbation


class Kind(Enum):
    """What something done beside a manipulation asks of it."""

    ACH = auto()
    """Does ACh mediate it?"""
    F_IN_WAKE = auto()
    """Does it come by plasticity of F in wake?"""
    F_IN_SLEEP = auto()
    HOMEOSTASIS = auto()
    OTHER = auto()


def kind_of(under: Sequence[Perturbation]) -> Kind:
    """Return what is asked by what is done beside."""
    if of_ach(tuple(under)):
        return Kind.ACH
    if under and all(_freezes(p) for p in under):
        phases = {phase for p in under for phase in p.during}
        if phases == {Phase.WAKE}:
            return Kind.F_IN_WAKE
        if phases and phases <= set(SLEEP):
            return Kind.F_IN_SLEEP
    if any(p.block is not None and p.block.homeostasis for p in under):
        return Kind.HOMEOSTASIS
    return Kind.OTHER


def _freezes(p: Perturbation) -> bool:
    return p.plasticity is not None and getattr(p.plasticity, FEEDFORWARD) == 0
