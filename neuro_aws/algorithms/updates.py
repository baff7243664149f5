"""From Deltas to changes: optimiser first, then gate and scale, at every step or once a cycle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from neuro_aws.functional.decay import Decay
from neuro_aws.functional.optimisers import Moments, Optimiser, clip_factor
from neuro_aws.model.state import Changes, Delta, Deltas, Tensors

When = Literal["step", "cycle"]


@dataclass(slots=True)
class Pending:
    """The sum of a kind's Deltas since it last changed, and the factors they came under.

    total      sum of Deltas, as the optimiser sees it
    weighted   sum of factor * Delta, factor = gate * scale of its step, and of each sample's
               deviation from the gate: what the change is to be made of; kept only once it is
               not the total times one factor (``uneven``)
    """

    total: Tensor | None = None
    weighted: Tensor | None = None
    factor: float = 0.0
    uneven: bool = False
    count: int = 0
    open: int = 0
    """In how many of the steps thresholds were free to change."""

    def add(self, delta: Delta, scale: float, names: Sequence[str], thresholds: bool) -> None:
        """Take in one step's Delta; ``thresholds``: whether those may change."""
        vector, factor = flat(delta.tensors, names), delta.gate * scale
        mean = self.factor / self.count if self.count else factor
        if not self.uneven and (delta.deviation is not None or factor != mean):
            self.uneven = True
            self.weighted = None if self.total is None else mean * self.total
        if self.uneven:
            part = factor * vector
            if delta.deviation is not None:
                part = part + scale * flat(delta.deviation, names)
            self.weighted = _sum(self.weighted, part)
        self.total = vector if self.total is None else self.total.add_(vector)
        self.factor += factor
        self.count += 1
        self.open += thresholds


@dataclass(slots=True)
class Plasticity:
    """How the projections of one kind change: their optimiser, its moments, and when.

    ``names`` are those of the kind's tensors, in the order in which the network lays them out;
    ``thresholds`` learn at their own rate, if there are any of their own.
    """

    names: Sequence[str]
    optimiser: Optimiser
    moments: Moments
    when: When
    pending: Pending = field(default_factory=Pending)
    clip: float | None = None
    decay: Decay = field(default_factory=Decay)
    thresholds: "Thresholds | None" = None

    def collect(
        self, delta: Delta | None, scale: float, cycle_ends: bool, homeostasis: bool = True
    ) -> Tensor | None:
        """Return the change to make now, or None.

        A step whose gate or scale is 0 changes nothing: neither the weights, nor the
        optimiser's moments, nor the sum of the cycle.
        """
        if delta is not None and scale != 0 and (delta.gate != 0 or delta.deviation is not None):
            self.pending.add(delta, scale, self.names, homeostasis)
        if self.pending.total is None or (self.when == "cycle" and not cycle_ends):
            return None
        due, self.pending = self.pending, Pending()
        assert due.total is not None
        total, rest = due.total, None
        mean, age = due.factor / due.count, self.decay.at(self.moments.count)
        if due.uneven:
            assert due.weighted is not None
            rest = due.weighted - mean * total
        if self.clip is not None:
            shrink = clip_factor(total, self.clip)
            total, rest = total.mul_(shrink), None if rest is None else rest * shrink
        before = None if due.open or self.thresholds is None else self.moments.copied()
        change = self.optimiser.step(total, self.moments)
        if mean * age != 1.0:
            change = change.mul_(mean * age)
        if rest is not None:
            change = change + self.optimiser.share(rest * age, self.moments)
        if self.thresholds is not None:
            change = self.thresholds.scaled(change, due.open / due.count)
            if before is not None:
                self.thresholds.restore(self.moments, before)
        return change


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which entries of a kind's vector are thresholds (biases of F), and how fast they learn.

    ``rate`` is theirs over that of the weights; it acts after the optimiser, as all factors do.
    """

    where: Tensor
    rate: float = 1.0

    def scaled(self, change: Tensor, opened: float) -> Tensor:
        """Return the change with that of the thresholds multiplied; 0 while they are blocked."""
        factor = self.rate * opened
        return change if factor == 1 else torch.where(self.where, change * factor, change)

    def restore(self, moments: Moments, before: Moments) -> None:
        """Give the thresholds their moments of before a step in which they were blocked."""
        for now, then in ((moments.first, before.first), (moments.second, before.second)):
            if now is not None and then is not None:
                now.copy_(torch.where(self.where, then, now))


class Updates:
    """The plasticity of every kind of projection that has settings to learn with."""

    def __init__(self, plasticity: dict[str, Plasticity]) -> None:
        self.plasticity = plasticity

    def __call__(
        self,
        deltas: Deltas,
        scales: Mapping[str, float],
        cycle_ends: bool,
        homeostasis: bool = True,
    ) -> Changes:
        """Return the changes of this step; ``scales`` multiply them, 1 where not named.

        Without ``homeostasis`` thresholds stay as they are.
        """
        changes: Changes = {}
        for kind, rule in self.plasticity.items():
            scale = scales.get(kind, 1.0)
            change = rule.collect(deltas.get(kind), scale, cycle_ends, homeostasis)
            if change is not None:
                changes[kind] = change
        return changes

    def state_dict(self) -> dict[str, Any]:
        """Return moments and unapplied sums."""
        return {
            kind: {
                "count": rule.moments.count,
                "first": rule.moments.first,
                "second": rule.moments.second,
                "pending": rule.pending.total,
                "weighted": rule.pending.weighted,
                "factor": rule.pending.factor,
                "uneven": rule.pending.uneven,
                "pending_count": rule.pending.count,
                "pending_open": rule.pending.open,
            }
            for kind, rule in self.plasticity.items()
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take up moments and unapplied sums where ``state_dict`` left them.

        An optimiser that keeps a moment the saved one did not starts afresh, and so does one that
        was not saved: an arm may have another theory than its common run.
        """
        for kind, rule in self.plasticity.items():
            if kind not in saved:
                continue
            s = saved[kind]
            now = rule.moments
            fresh = (now.first is not None and s["first"] is None) or (
                now.second is not None and s["second"] is None
            )
            if not fresh:
                first = _copy(s["first"]) if now.first is not None else None
                second = _copy(s["second"]) if now.second is not None else None
                rule.moments = Moments(s["count"], first, second)
            rule.pending = Pending(
                _copy(s["pending"]),
                _copy(s["weighted"]),
                s["factor"],
                s["uneven"],
                s["pending_count"],
                s["pending_open"],
            )


def flat(tensors: Tensors, names: Sequence[str]) -> Tensor:
    """Return tensors as one vector, in the order of their ``names``."""
    return torch.cat([tensors[name].reshape(-1) for name in names])


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def _sum(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total + part
