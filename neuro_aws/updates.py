"""From Deltas to changes: optimiser first, then gate and scale, at every step or once a cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from neuro_aws.functional.optimisers import Moments, Optimiser
from neuro_aws.phase import Projection
from neuro_aws.state import Changes, Delta, Deltas

When = Literal["step", "cycle"]


@dataclass(slots=True)
class Pending:
    """The sum of a projection's Deltas since it last changed, with the factors they came under."""

    tensors: list[Tensor] = field(default_factory=list)
    deviation: list[Tensor] = field(default_factory=list)
    factor: float = 0.0
    count: int = 0

    def add(self, delta: Delta, scale: float) -> None:
        """Take in one step's Delta."""
        self.tensors = _sum(self.tensors, delta.tensors)
        if delta.deviation is not None:
            self.deviation = _sum(self.deviation, [scale * d for d in delta.deviation])
        self.factor += delta.gate * scale
        self.count += 1


@dataclass(slots=True)
class Plasticity:
    """How one projection changes: its optimiser, that one's moments, and when."""

    optimiser: Optimiser
    moments: Moments
    when: When
    pending: Pending = field(default_factory=Pending)

    def collect(self, delta: Delta | None, scale: float, cycle_ends: bool) -> list[Tensor] | None:
        """Return the change to make now, or None.

        A step whose gate or scale is 0 leaves no trace: neither in the weights, nor in the
        optimiser's moments, nor in the sum of the cycle.
        """
        if delta is not None and scale != 0 and (delta.gate != 0 or delta.deviation is not None):
            self.pending.add(delta, scale)
        if self.pending.count == 0 or (self.when == "cycle" and not cycle_ends):
            return None
        due, self.pending = self.pending, Pending()
        change = self.optimiser.step(due.tensors, self.moments)
        factor = due.factor / due.count
        if factor != 1.0:
            change = [factor * c for c in change]
        if due.deviation:
            extra = self.optimiser.share(due.deviation, self.moments)
            change = [c + e for c, e in zip(change, extra, strict=True)]
        return change


class Updates:
    """The plasticity of every projection."""

    def __init__(self, plasticity: dict[Projection, Plasticity]) -> None:
        self.plasticity = plasticity

    def __call__(
        self, deltas: Deltas, scales: Mapping[Projection, float], cycle_ends: bool
    ) -> Changes:
        """Return the changes of this step; ``scales`` multiply them, 1 where not named."""
        changes: Changes = {}
        for projection, rule in self.plasticity.items():
            scale = scales.get(projection, 1.0)
            change = rule.collect(deltas.get(projection), scale, cycle_ends)
            if change is not None:
                changes[projection] = change
        return changes

    def state_dict(self) -> dict[str, Any]:
        """Return moments and unapplied sums."""
        return {
            str(projection): {
                "count": rule.moments.count,
                "first": rule.moments.first,
                "second": rule.moments.second,
                "pending": rule.pending.tensors,
                "deviation": rule.pending.deviation,
                "factor": rule.pending.factor,
                "pending_count": rule.pending.count,
            }
            for projection, rule in self.plasticity.items()
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take up moments and unapplied sums where ``state_dict`` left them.

        An optimiser that keeps a moment the saved one did not starts it at 0.
        """
        for projection, rule in self.plasticity.items():
            s = saved[str(projection)]
            first = _copy(s["first"]) if rule.moments.first else []
            second = _copy(s["second"]) if rule.moments.second else []
            rule.moments = Moments(
                s["count"], first or rule.moments.first, second or rule.moments.second
            )
            rule.pending = Pending(
                _copy(s["pending"]), _copy(s["deviation"]), s["factor"], s["pending_count"]
            )


def _copy(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors]


def _sum(total: list[Tensor], part: list[Tensor]) -> list[Tensor]:
    return list(torch._foreach_add(total, part)) if total else list(part)
