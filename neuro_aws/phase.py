"""The three phases of a life, and the three sets of connections that may learn in them."""

from enum import StrEnum


class Phase(StrEnum):
    """What the brain is doing in a step."""

    WAKE = "wake"
    NREM = "nrem"
    REM = "rem"


class Projection(StrEnum):
    """The connections a learning rule changes: F, G and the inputs of neuromodulator #1."""

    FEEDFORWARD = "feedforward"
    FEEDBACK = "feedback"
    DISCRIMINATOR = "discriminator"


WAKE, NREM, REM = Phase.WAKE, Phase.NREM, Phase.REM
FEEDFORWARD, FEEDBACK, DISCRIMINATOR = (
    Projection.FEEDFORWARD,
    Projection.FEEDBACK,
    Projection.DISCRIMINATOR,
)
