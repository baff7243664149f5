"""From Deltas to changes: optimiser first, then gate and scale, at every step or once a cycle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

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
    factor: float | Tensor = 0.0
    uneven: bool = False
    count: int = 0
    open: int = 0
    """In how many of the steps thresholds were free to change."""

    def add(
        self,
        parts: Sequence[Tensor],
        gate: float | Tensor,
        deviation: Tensor | None,
        scale: float,
        thresholds: bool,
    ) -> None:
        """Take in one step's Delta; ``thresholds``: whether those may change.

        Its parts are put end to end in a first vector (one is kept as it is), and those of the next
        steps are added to it in place.
        """
        factor = gate * scale
        mean = self.factor / self.count if self.count else factor
        if not self.uneven and (deviation is not None or _may_differ(factor, mean)):
            self.uneven = True
            self.weighted = None if self.total is None else mean * self.total
        if self.uneven:
            part = factor * _end_to_end(parts)
            if deviation is not None:
                part = part + scale * deviation
            self.weighted = _sum(self.weighted, part)
        if self.total is None:
            self.total = _end_to_end(parts)
        else:
            pieces = torch.split(self.total, [part.numel() for part in parts])
            for piece, own in zip(pieces, parts, strict=True):
                piece.add_(own)
        self.factor = self.factor + factor
        self.count += 1
        self.open += thresholds


class Due(NamedTuple):
    """What a change is to be made of.

    total      sum of Deltas, as the optimiser sees it
    rest       what the samples' gates add to it, under the same preconditioner (None: nothing)
    mean, age  mean factor of the steps, and what is left of the rate
    opened     share of the steps in which thresholds were free to change
    """

    total: Tensor
    rest: Tensor | None
    mean: float | Tensor
    age: float
    opened: float


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
        if delta is not None and counts(delta.gate, delta.deviation is not None, scale):
            deviation = None if delta.deviation is None else flat(delta.deviation, self.names)
            parts = [delta.tensors[name].reshape(-1) for name in self.names]
            self.pending.add(parts, delta.gate, deviation, scale, homeostasis)
        due = self.due(cycle_ends)
        return None if due is None else self.change(due)

    def due(self, cycle_ends: bool) -> Due | None:
        """Return what is to be changed now, or None; the sum starts anew."""
        if self.pending.total is None or (self.when == "cycle" and not cycle_ends):
            return None
        summed, self.pending = self.pending, Pending()
        assert summed.total is not None
        total, rest = summed.total, None
        mean, age = summed.factor / summed.count, self.decay.at(self.moments.count)
        if summed.uneven:
            assert summed.weighted is not None
            rest = summed.weighted - mean * total
        if self.clip is not None:
            shrink = clip_factor(total, self.clip)
            total, rest = total.mul_(shrink), None if rest is None else rest * shrink
        return Due(total, rest, mean, age, summed.open / summed.count)

    def change(self, due: Due) -> Tensor:
        """Return the change, and bring the optimiser's moments up to date."""
        blocked = due.opened == 0 and self.thresholds is not None
        before = self.moments.copied() if blocked else None
        change = self.optimiser.step(due.total, self.moments)
        factor = due.mean * due.age
        if isinstance(factor, Tensor) or factor != 1.0:
            change = change.mul_(factor)
        if due.rest is not None:
            change = change + self.optimiser.share(due.rest * due.age, self.moments)
        if self.thresholds is not None:
            change = self.thresholds.scaled(change, due.opened)
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
                "factor": float(rule.pending.factor),
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


def counts(gate: float | Tensor, by_sample: bool, scale: float) -> bool:
    """Say whether a step's Delta counts: not where its gate or its scale is 0.

    A gate that differs by sample always counts; the host does not ask what it is.
    """
    return scale != 0 and (by_sample or isinstance(gate, Tensor) or gate != 0)


def _may_differ(factor: float | Tensor, mean: float | Tensor) -> bool:
    """Say whether two factors differ, or may: the host does not ask for tensors."""
    if factor is mean:
        return False
    return isinstance(factor, Tensor) or isinstance(mean, Tensor) or factor != mean


def flat(tensors: Tensors, names: Sequence[str]) -> Tensor:
    """Return tensors as one vector, in the order of their ``names``."""
    return torch.cat([tensors[name].reshape(-1) for name in names])


def _end_to_end(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat([*parts])


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()


def _sum(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total + part
