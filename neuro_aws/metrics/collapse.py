"""Watching a long training: loss of variety is reported when it happens, with step and layer."""

import logging

import torch
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.subject import Subject
from neuro_aws.protocol.schema import Watch

STIMULI = 500
log = logging.getLogger("neuro_aws")


def effective_rank(activity: Tensor) -> float:
    """Return (sum of the covariance's eigenvalues)^2 / sum of their squares: 1 ... units."""
    centred = (activity - activity.mean(0)).double()
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    squares = gram.square().sum()
    return float(gram.diagonal().sum() ** 2 / squares) if squares > 0 else 0.0


def inspect(subject: Subject, rule: Watch) -> list[str]:
    """Return the alarms of this moment: diversity of dreams, rank of inference, by layer."""
    waking = [h[:STIMULI] for h in subject.waking()]
    dreams = subject.dreams(len(waking[0]), "watch")
    found = []
    for layer, (h, dream) in enumerate(zip(waking, dreams, strict=True)):
        spread = float(torch.sqrt(dream.var(0).sum() / h.var(0).sum()))
        if not spread >= rule.diversity:
            message = f"dreams have {spread:.2f} of waking's spread (limit {rule.diversity:g})"
            found.append(f"mode collapse at step {subject.step}, layer {layer}: {message}")
        rank = effective_rank(h)
        if layer and not rank >= rule.rank:
            message = f"waking activity has effective rank {rank:.1f} (limit {rule.rank:g})"
            found.append(f"collapse at step {subject.step}, layer {layer}: {message}")
    return found


def raise_or_report(alarms: list[str], rule: Watch, where: str) -> None:
    """Log the alarms; stop the run if the protocol says so."""
    for alarm in alarms:
        log.warning("%s, %s", alarm, where)
    if alarms and rule.stop:
        raise NeuroAWSError(
            alarms[0],
            where=where,
            next_step="watch.stop is set; what was lived is saved, --resume goes on from it",
        )
