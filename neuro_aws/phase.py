"""The three phases of sleep and wake, and the kinds of projections that may learn in them."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """What the brain is doing in a step."""

    WAKE = "wake"
    NREM = "nrem"
    REM = "rem"


WAKE, NREM, REM = Phase.WAKE, Phase.NREM, Phase.REM

# The kinds key settings, checkpoints and recordings: learning goes by kind, tensors by name.
FEEDFORWARD: Final = "feedforward"
"""F: from a layer to the somata above."""

FEEDBACK: Final = "feedback"
"""G: from a layer to the dendrites below."""

LATERAL: Final = "lateral"
"""L: between the units of one layer, from the step before."""

DISCRIMINATOR: Final = "discriminator"
"""D: from all layers to neuromodulator #1."""

READOUT: Final = "readout"
"""R: from the layer below the top to the readout discriminator of the doubly adversarial form."""

INTERNEURONS: Final = "interneurons"
"""U: from a layer and the one below to the interneurons that are its own discriminators."""

KINDS: Final = (FEEDFORWARD, FEEDBACK, LATERAL, DISCRIMINATOR, READOUT, INTERNEURONS)
"""Every kind, in the order in which they are listed everywhere."""
