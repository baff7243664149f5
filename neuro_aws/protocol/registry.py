"""Everything a protocol may name, in one place: theories, measures, perturbations, stimuli."""

from neuro_aws.protocol.entry import Entry, load
from neuro_aws.protocol.measure import MeasureEntry, ValueInfo
from neuro_aws.protocol.measures import MEASURES, VALUES
from neuro_aws.protocol.perturb import PERTURBATIONS, PerturbationEntry
from neuro_aws.protocol.stimulus import STIMULI, StimulusEntry
from neuro_aws.protocol.theories import THEORIES, Theory
from neuro_aws.protocol.theories_of_cortex import CREDITS

__all__ = [
    "CREDITS",
    "MEASURES",
    "PERTURBATIONS",
    "STIMULI",
    "THEORIES",
    "VALUES",
    "Entry",
    "MeasureEntry",
    "PerturbationEntry",
    "StimulusEntry",
    "Theory",
    "ValueInfo",
    "load",
    "value",
]


def of_the_users_own(name: str) -> bool:
    """Say whether a value is one of the user's own."""
    return name not in VALUES


def rank(name: str) -> int:
    """Return the place of a value in lists and figures: the user's own first, then as listed."""
    return -1 if of_the_users_own(name) else list(VALUES).index(name)


def value(name: str) -> ValueInfo:
    """Return what is known of a value of the table of results; of a user's own, its name."""
    entry = VALUES.get(name)
    if entry is None:
        return ValueInfo(name, "")
    return next(info for info in entry.values if info.name == name)
