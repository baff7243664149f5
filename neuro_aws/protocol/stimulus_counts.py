"""How many stimuli and labels a protocol's stimuli have, as far as it is known before a run."""

from neuro_aws.protocol.arrays import held_out_count
from neuro_aws.protocol.sequences import Sequences
from neuro_aws.protocol.stimuli_built_in import DIGIT_COUNTS, Digits, Toy
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli
from neuro_aws.protocol.stimulus import Stimulus


def distinct_labels(section: Stimulus) -> int | None:
    """Return how many different labels the stimuli of a section have; None: not known."""
    if isinstance(section, Digits):
        return len(set(section.classes or range(10)))
    if isinstance(section, ArrayStimuli):
        return section.facts.distinct if section.facts else None
    return section.labels


def trained_on(section: Stimulus) -> int | None:
    """Return how many stimuli are left to train on; None: not known."""
    if isinstance(section, Digits):
        return sum(DIGIT_COUNTS[digit] for digit in set(section.classes or range(10))) - (
            section.held_out
        )
    if isinstance(section, Toy):
        return section.count
    if isinstance(section, Sequences):
        return None if section.number is None else section.number - section.held_out
    if isinstance(section, ArrayStimuli) and section.facts:
        facts = section.facts
        drawn = 0 if facts.held_out_images else held_out_count(facts.images, section.held_out)
        return facts.images - drawn
    return None


def held_out_of(section: Stimulus) -> int | None:
    """Return how many stimuli are held out; None: not known."""
    if isinstance(section, ArrayStimuli):
        if section.facts is None:
            return None
        return section.facts.held_out_images or held_out_count(
            section.facts.images, section.held_out
        )
    found: int | None = getattr(section, "held_out", None)
    return found
