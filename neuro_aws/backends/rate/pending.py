"""Rows that wait, on the network's device, until all of them are written at once."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from neuro_aws.recording.writer import Writer


@dataclass
class Waiting:
    """Rows of one dataset, and the steps that they are of."""

    steps: list[int] = field(default_factory=list)
    rows: list[Tensor | int] = field(default_factory=list)


class Pending:
    """Takes rows one by one, as a ``Writer`` does; no value is looked at before they are written.

    Tensors must have memory of their own, which nobody writes into any more.
    """

    def __init__(self) -> None:
        self.step = 0
        """Which step rows are of from now on."""
        self._waiting: dict[str, Waiting] = {}

    def put(self, path: str, value: Tensor | int) -> None:
        """Append one row to a dataset."""
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = self._waiting[path] = Waiting()
        waiting.steps.append(self.step)
        waiting.rows.append(value)

    def write(self, out: Writer, last: int) -> None:
        """Write the rows of the steps up to ``last``, and forget all."""
        waiting, self._waiting = self._waiting, {}
        if not out.keeps:
            return
        for path, found in waiting.items():
            rows = [row for s, row in zip(found.steps, found.rows, strict=True) if s <= last]
            tensors = [row for row in rows if isinstance(row, Tensor)]
            if tensors:
                out.put_many(path, torch.stack(tensors).cpu().numpy())
            elif rows:
                out.put_many(path, np.array(rows))
