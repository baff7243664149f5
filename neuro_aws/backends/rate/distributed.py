"""One animal on several processes: torchrun starts them, each takes its share of every batch.

    torchrun --nproc-per-node 2 -m neuro_aws run protocols/mnist_aws.yaml

Every process draws the random numbers of the whole batch and keeps its own rows, so that together
they compute what one process would. The means of their Deltas are what changes the weights, in all
of them alike. What a process computes over its own share (batch normalisation, the KL, the spread,
the batch's mean of ACh) is that share's: only where no rule reads such a statistic is the run that
of one process, to rounding. Process 0 writes the run's folder.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.noise import Draws
from neuro_aws.model.network import Network
from neuro_aws.model.state import Delta, Deltas, Tensors

CHECK_EVERY = 100
"""Steps between two comparisons of the processes' weights."""


@dataclass(frozen=True)
class Team:
    """The processes that simulate one animal together; one alone needs no messages."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Say whether this process writes the run's folder."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """Return this process's part of a batch; refuse one that cannot be shared evenly."""
        if batch % self.size:
            raise NeuroAWSError(
                f"a batch of {batch} cannot be shared by {self.size} processes",
                where="stimulus.batch",
                next_step=f"Choose a multiple of {self.size}",
            )
        return batch // self.size

    def mean(self, deltas: Deltas) -> Deltas:
        """Return the mean of all processes' Deltas."""
        if self.size == 1:
            return deltas
        return {kind: self._mean(delta) for kind, delta in deltas.items()}

    def _mean(self, delta: Delta) -> Delta:
        tensors = self._by_name(delta.tensors)
        deviation = None if delta.deviation is None else self._by_name(delta.deviation)
        gate = self._gate(delta.gate, next(iter(tensors.values())).device)
        return replace(delta, tensors=tensors, deviation=deviation, gate=gate)

    def _gate(self, own: float | Tensor, device: torch.device) -> float | Tensor:
        """Return the mean gate as what it was: a number, or a tensor that stays on the device."""
        if isinstance(own, Tensor):
            return self._averaged([own])[0]
        return float(self._averaged([torch.tensor(own, dtype=torch.float64, device=device)])[0])

    def _by_name(self, tensors: Tensors) -> Tensors:
        means = self._averaged([tensors[name] for name in sorted(tensors)])
        return dict(zip(sorted(tensors), means, strict=True))

    def _averaged(self, tensors: list[Tensor]) -> list[Tensor]:
        """Return the mean over processes, in one message."""
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat / self.size, [t.numel() for t in tensors])
        return [part.view_as(t) for part, t in zip(parts, tensors, strict=True)]

    def whole(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, in the order of the batch."""
        if self.size == 1:
            return rows
        shares = [torch.empty_like(rows) for _ in range(self.size)]
        dist.all_gather(shares, rows.contiguous())
        return torch.cat(shares)

    def settle(self, network: Network, step: int) -> None:
        """Bring what is no weight (running statistics, prior, baseline) to the processes' mean.

        Every so often the weights are compared: they must not drift apart.
        """
        if self.size == 1:
            return
        kept = network.statistics()
        if kept:
            for own, mean in zip(kept, self._averaged(kept), strict=True):
                own.copy_(mean)
        if step % CHECK_EVERY == 0:
            self.compare(network)

    def compare(self, network: Network) -> None:
        """Refuse to go on if two processes hold different weights."""
        sums = torch.stack([network.flat(kind).double().sum() for kind in network.kinds])
        gathered = [torch.zeros_like(sums) for _ in range(self.size)]
        dist.all_gather(gathered, sums)
        if not all(torch.equal(sums, other) for other in gathered):
            raise NeuroAWSError(
                "processes hold different weights",
                where="torchrun",
                next_step="They must run the same version on the same kind of device",
            )

    def agree(self, value: Any) -> Any:
        """Return process 0's value in all of them."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def any(self, flag: bool) -> bool:
        """Say whether any process raises the flag."""
        if self.size == 1:
            return flag
        raised = torch.tensor(float(flag))
        if dist.get_backend() == "nccl":
            raised = raised.cuda()
        dist.all_reduce(raised)
        return bool(raised > 0)


class SharedDraws(Draws):
    """Random numbers of the whole batch, of which this process keeps its own rows.

    Axis 0 of every shape is the batch.
    """

    def __init__(self, whole: Draws, team: Team) -> None:
        super().__init__(whole.generator, whole.dtype)
        self.team = team

    def _own(self, drawn: Tensor) -> Tensor:
        return drawn.chunk(self.team.size)[self.team.rank]

    def _whole(self, shape: torch.Size | tuple[int, ...]) -> torch.Size:
        return torch.Size((shape[0] * self.team.size, *shape[1:]))

    def normal(self, shape: torch.Size) -> Tensor:
        """Return this process's rows of draws from N(0, 1)."""
        return self._own(super().normal(self._whole(shape)))

    def uniform(self, shape: torch.Size) -> Tensor:
        """Return this process's rows of draws from the uniform distribution."""
        return self._own(super().uniform(self._whole(shape)))

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Return this process's rows of integers in [0, high)."""
        return self._own(super().integers(high, self._whole(shape)))


def join(device: str) -> Team:
    """Return the team that torchrun started this process in, or a team of one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        return Team()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Team(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """Leave the team."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
