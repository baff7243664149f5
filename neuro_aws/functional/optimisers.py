"""Optimisers that turn a Delta into a change, as values: nothing is applied in here.

Gate and scale act on what they return. An optimiser that is not called keeps its moments.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass(slots=True)
class Moments:
    """An optimiser's memory: number of calls, and one tensor per parameter for each moment."""

    count: int = 0
    first: list[Tensor] = field(default_factory=list)
    second: list[Tensor] = field(default_factory=list)


class Optimiser(Protocol):
    """From the direction of ascent to the change of the weights."""

    def start(self, parameters: list[Tensor]) -> Moments:
        """Return fresh moments for these parameters."""
        ...

    def step(self, delta: list[Tensor], moments: Moments) -> list[Tensor]:
        """Return the change; ``moments`` is brought up to date in place."""
        ...

    def share(self, delta: list[Tensor], moments: Moments) -> list[Tensor]:
        """Return what a part of the last delta contributed to the last change."""
        ...


@dataclass(frozen=True, slots=True)
class SGD:
    """change = eta * delta."""

    rate: float

    def start(self, parameters: list[Tensor]) -> Moments:
        """Return fresh moments (none are needed)."""
        return Moments()

    def step(self, delta: list[Tensor], moments: Moments) -> list[Tensor]:
        """Return eta * delta."""
        moments.count += 1
        return [self.rate * d for d in delta]

    def share(self, delta: list[Tensor], moments: Moments) -> list[Tensor]:
        """Return eta * delta."""
        return [self.rate * d for d in delta]


@dataclass(frozen=True, slots=True)
class Adam:
    """change = eta * m^ / (sqrt(v^) + eps), with m, v the running means of delta and delta^2.

    m = b1 m + (1 - b1) delta;  v = b2 v + (1 - b2) delta^2;  m^ = m / (1 - b1^t);  v^ likewise.
    """

    rate: float
    betas: tuple[float, float] = (0.0, 0.9)
    epsilon: float = 1e-8

    def start(self, parameters: list[Tensor]) -> Moments:
        """Return zero moments; b1 = 0 needs no first one."""
        first = [torch.zeros_like(p) for p in parameters] if self.betas[0] else []
        return Moments(0, first, [torch.zeros_like(p) for p in parameters])

    def step(self, delta: list[Tensor], moments: Moments) -> list[Tensor]:
        """Return the change; ``moments`` is brought up to date in place."""
        b1, b2 = self.betas
        moments.count += 1
        torch._foreach_mul_(moments.second, b2)
        torch._foreach_addcmul_(moments.second, delta, delta, 1 - b2)
        direction = delta
        if b1:
            torch._foreach_lerp_(moments.first, delta, 1 - b1)
            direction = moments.first
        return self._scaled(direction, moments, self.rate / (1 - b1**moments.count))

    def share(self, delta: list[Tensor], moments: Moments) -> list[Tensor]:
        """Return eta (1 - b1) / (1 - b1^t) * delta / (sqrt(v^) + eps): linear in the delta."""
        b1 = self.betas[0]
        return self._scaled(delta, moments, self.rate * (1 - b1) / (1 - b1**moments.count))

    def _scaled(self, direction: list[Tensor], moments: Moments, factor: float) -> list[Tensor]:
        denominator = torch._foreach_sqrt(moments.second)
        torch._foreach_mul_(denominator, 1 / math.sqrt(1 - self.betas[1] ** moments.count))
        torch._foreach_add_(denominator, self.epsilon)
        change = torch._foreach_div(direction, denominator)
        torch._foreach_mul_(change, factor)
        return list(change)
