"""What is recorded of single stimuli: their ACh, and how much each of them teaches."""

from typing import Protocol

import torch
from torch import Tensor

from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.moment import Moment
from neuro_aws.phase import FEEDFORWARD


class Rows(Protocol):
    """Where rows are put one by one."""

    def put(self, path: str, value: Tensor | int) -> None:
        """Append one row to a dataset; a tensor is nobody else's."""
        ...


def put_samples(out: Rows, moment: Moment, depth: int, team: Team) -> None:
    """Record each sample's label, its ACh, and the length of its teaching signal by layer.

    ACh is D as the discriminator reads it, whatever is done to its release. The root mean square
    of the lengths over the batch is what is recorded as the layer's teaching.
    """
    level = moment.level
    labels = moment.labels
    if labels is None:
        labels = torch.full(level.shape, -1, device=level.device)
    delta = moment.deltas.get(FEEDFORWARD)
    teaching = None if delta is None else delta.teaching
    if teaching is None:
        teaching = [level.new_zeros(len(level), 1)] * depth

    def put(path: str, values: Tensor) -> None:
        # A copy: the next step may write into the same memory while rows wait to be written.
        out.put(f"samples/{path}", team.whole(values).detach().clone())

    out.put("samples/step", moment.spec.step)
    put("label", labels)
    put("ach", level)
    for layer, signal in enumerate(teaching, start=1):
        put(f"layer{layer}/teaching", signal.reshape(len(level), -1).norm(dim=1))
