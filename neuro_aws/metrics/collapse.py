"""Alarms of long runs: loss of variety is reported when it happens, with step and layer."""

import logging
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.subject import Subject, Value
from neuro_aws.protocol.schema import Watch

STIMULI = 500
log = logging.getLogger("neuro_aws")


def effective_rank(activity: Tensor) -> float:
    """Return (sum of the covariance's eigenvalues)^2 / sum of their squares: 1 ... units."""
    centred = (activity - activity.mean(0)).double()
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    squares = gram.square().sum()
    return float(gram.diagonal().sum() ** 2 / squares) if squares > 0 else 0.0


def collapse(subject: Subject) -> Iterator[Value]:
    """Variety of dreams and of inference, by layer; noise off, 500 held-out stimuli at most.

    ``dream_spread``: root of the summed variance of dreams over that of waking;
    ``waking_rank``: effective rank of waking activity, above the stimulus.
    """
    waking = [h[:STIMULI] for h in subject.waking()]
    dreams = subject.dreams(len(waking[0]), "watch")
    for layer, (h, dream) in enumerate(zip(waking, dreams, strict=True)):
        spread = float(torch.sqrt(dream.var(0).sum() / h.var(0).sum()))
        yield Value("dream_spread", spread, layer)
        if layer:
            yield Value("waking_rank", effective_rank(h), layer)


def alarms(values: Iterable[Value], rule: Watch, step: int) -> list[str]:
    """Return an alarm for every value of ``collapse`` that is not at its limit or above."""
    found = []
    for name, value, layer, _ in values:
        if name == "dream_spread" and not value >= rule.diversity:
            message = f"dreams have {value:.2f} of waking's spread (limit {rule.diversity:g})"
            found.append(f"mode collapse at step {step}, layer {layer}: {message}")
        if name == "waking_rank" and not value >= rule.rank:
            message = f"waking activity has effective rank {value:.1f} (limit {rule.rank:g})"
            found.append(f"collapse at step {step}, layer {layer}: {message}")
    return found


def raise_or_report(found: list[str], rule: Watch, where: str) -> None:
    """Log the alarms; stop the run if the protocol says so."""
    for alarm in found:
        log.warning("%s, %s", alarm, where)
    if found and rule.stop:
        raise NeuroAWSError(
            found[0],
            where=where,
            next_step="watch.stop is set; what was simulated is saved, --resume goes on from it",
        )
