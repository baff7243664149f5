"""Is a dream a memory? How far its top layer is from what the network has stored of it."""

from collections.abc import Iterator

from torch import Tensor

from neuro_aws.metrics.images import nearest
from neuro_aws.metrics.subject import Subject, Value, ratio


def memory_distance(subject: Subject) -> Iterator[Value]:
    """How far dreams begin from the nearest stored state, against what new stimuli are.

    ``memory_distance``: mean Euclidean distance of a dream's h_N to the nearest stored one, over
    that of held-out stimuli in wake, whose h_N was never stored: 0 is recall, 1 as new as waking.
    There is none before anything is stored.
    """
    memory = subject.network.prior.memory
    assert memory is not None
    stored = memory.patterns[memory.stored]
    if not len(stored):
        return
    waking = subject.waking(noisy=True)[-1]
    dreams = subject.dreams(len(waking), "memory")[-1]
    yield Value(
        "memory_distance",
        ratio(_away(dreams, stored), _away(waking, stored)),
        subject.network.depth,
    )


def _away(tops: Tensor, stored: Tensor) -> float:
    return float(nearest(tops, stored)[0].mean())
