"""Neuromodulator #2: which compartment drives the soma."""

from enum import StrEnum

from neuro_aws.phase import NREM, REM, WAKE, Phase


class Drive(StrEnum):
    """The compartment whose potential becomes the soma's rate."""

    SOMATIC = "feedforward"
    DENDRITIC = "feedback"


DRIVES: dict[Phase, Drive] = {
    WAKE: Drive.SOMATIC,
    REM: Drive.DENDRITIC,
    NREM: Drive.DENDRITIC,
}
"""Feedforward drives in wake; feedback drives in REM, and in NREM, where nothing is learnt."""
