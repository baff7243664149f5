"""The three phases of a life, and the three sets of connections that may learn in them."""

from enum import StrEnum


class Phase(StrEnum):
    """What the brain is doing in a step."""

    WAKE = "wake"
    NREM = "nrem"
    REM = "rem"


class Projection(StrEnum):
    """The connections a learning rule changes: F, G, the inputs of neuromodulator #1, and R's."""

    FEEDFORWARD = "feedforward"
    FEEDBACK = "feedback"
    DISCRIMINATOR = "discriminator"
    READOUT = "readout"
    """The readout discriminator of the doubly adversarial form; most networks have none."""


WAKE, NREM, REM = Phase.WAKE, Phase.NREM, Phase.REM
FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT = (
    Projection.FEEDFORWARD,
    Projection.FEEDBACK,
    Projection.DISCRIMINATOR,
    Projection.READOUT,
)
