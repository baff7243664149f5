"""Is a dream a memory? How far its top layer is from what the network has stored of it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from neuro_aws.metrics.subject import Subject, Value, ratio

PORTION = 500
"""States at a time, to bound memory."""


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
    apart = ratio(away(dreams, stored), away(waking, stored))
    yield Value("memory_distance", apart, subject.network.depth)


def away(tops: Tensor, stored: Tensor) -> float:
    """Return the mean distance to the nearest stored state; of a stored one exactly 0."""
    exact = "donot_use_mm_for_euclid_dist"
    some = torch.split(tops, PORTION)
    parts = [torch.cdist(h, stored, compute_mode=exact).min(1).values for h in some]
    return float(torch.cat(parts).mean())
