"""Watching a long training: loss of variety is reported when it happens, with step and layer."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from neuro_aws.metrics.subject import Subject, Value
from neuro_aws.protocol.schema import Watch

STIMULI = 500


def effective_rank(activity: Tensor) -> float:
    """Return (sum of the covariance's eigenvalues)^2 / sum of their squares: 1 ... units."""
    centred = (activity - activity.mean(0)).double()
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    squares = gram.square().sum()
    return float(gram.diagonal().sum() ** 2 / squares) if squares > 0 else 0.0


def collapse(subject: Subject) -> Iterator[Value]:
    """Variety of dreams and of inference, by layer.

    ``dream_spread``: spread of dreams over that of waking (noise off), 1 as varied, 0 collapsed;
    ``waking_rank``: effective rank of waking activity, in every layer above the stimulus.
    """
    waking = [h[:STIMULI] for h in subject.waking()]
    dreams = subject.dreams(len(waking[0]), "watch")
    for layer, (h, dream) in enumerate(zip(waking, dreams, strict=True)):
        yield Value("dream_spread", float(torch.sqrt(dream.var(0).sum() / h.var(0).sum())), layer)
        if layer:
            yield Value("waking_rank", effective_rank(h), layer)


def alarms(values: Iterable[Value], rule: Watch, step: int) -> list[str]:
    """Return one line for each value below the protocol's limits, or not a number."""
    found = []
    for v in values:
        if v.name == "dream_spread" and not v.value >= rule.diversity:
            message = f"dreams have {v.value:.2f} of waking's spread (limit {rule.diversity:g})"
            found.append(f"mode collapse at step {step}, layer {v.layer}: {message}")
        if v.name == "waking_rank" and not v.value >= rule.rank:
            message = f"waking activity has effective rank {v.value:.1f} (limit {rule.rank:g})"
            found.append(f"collapse at step {step}, layer {v.layer}: {message}")
    return found
