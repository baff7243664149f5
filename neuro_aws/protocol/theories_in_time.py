"""Settings of the theories of recurrent networks, which learn through time."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuro_aws.phase import REM, WAKE, Phase
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    AlgorithmSection,
    Decay,
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    LateralLearning,
    NetworkSection,
)
from neuro_aws.protocol.theories_base import no_choice

Betas = tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]

RATE = 3e-3
"""Of F, L and G by default: for tens of units and hundreds of steps; published: 1e-4 for 1,024."""


class ForwardThroughTime(FeedforwardLearning):
    """Learning of F: the inputs of the gated units."""

    rate: float = Field(RATE, gt=0, le=10)
    betas: Betas = (0.9, 0.999)
    apply: Literal["step", "cycle"] = "cycle"
    decay: Decay = Decay()


class FeedbackThroughTime(FeedbackLearning):
    """Learning of G: what the gated units predict."""

    rate: float = Field(RATE, gt=0, le=10)
    betas: Betas = (0.9, 0.999)
    apply: Literal["step", "cycle"] = "cycle"
    decay: Decay = Decay()


class LateralThroughTime(LateralLearning):
    """Learning of L: the recurrence of the gated units."""

    rate: float = Field(RATE, gt=0, le=10)
    betas: Betas = (0.9, 0.999)
    apply: Literal["step", "cycle"] = "cycle"


class CriticInTime(DiscriminatorLearning):
    """Learning of D, which hears sequences."""

    rate: float = Field(1e-3, gt=0, le=10)
    betas: Betas = (0.9, 0.999)
    decay: Decay = Decay()


class ThroughTime(AlgorithmSection):
    """What the theories of recurrent networks share."""

    in_time: ClassVar[bool | None] = True

    feedforward: ForwardThroughTime = ForwardThroughTime()
    feedback: FeedbackThroughTime = FeedbackThroughTime()
    lateral: LateralThroughTime = LateralThroughTime()
    discriminator: CriticInTime = CriticInTime()

    @property
    def taught_in(self) -> tuple[Phase, ...]:
        """Return none: ACh watches."""
        return ()

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield settings that sequences have no use for."""
        yield from no_choice(self)


class TeacherForcing(ThroughTime):
    """Teacher forcing: wake alone teaches, and D watches."""

    name: Literal["teacher_forcing"]


class ProfessorForcing(ThroughTime):
    """Professor forcing: D over the sequence makes free running look like teacher forcing."""

    name: Literal["professor_forcing"]
    free: float = Field(1.0, ge=0, le=1000)
    """Weight of C_f: free runs are to look like teacher-forced ones."""
    forced: float = Field(0.0, ge=0, le=1000)
    """Weight of C_t: teacher-forced runs are to look like free ones."""

    @property
    def taught_in(self) -> tuple[Phase, ...]:
        """The phases in which released ACh teaches."""
        return (WAKE, REM) if self.forced else (REM,)


class ScheduledSampling(ThroughTime):
    """Scheduled sampling: in wake ever more of the inputs are the network's own predictions."""

    name: Literal["scheduled_sampling"]
    most: float = Field(0.5, ge=0, le=1)
    """Probability of an input to be the network's own, in the end."""
    over: int = Field(1000, ge=1, le=10_000_000)
    """Wake steps over which it rises to that."""
