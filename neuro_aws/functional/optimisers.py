"""Optimisers that turn a Delta into a change, as values: nothing is applied in here.

Gate and scale act on what they return. An optimiser that is not called keeps its moments.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neuro_aws.functional import fused


@dataclass(slots=True)
class Moments:
    """An optimiser's memory: number of calls, and flat moments (None: not kept)."""

    count: int = 0
    first: Tensor | None = None
    second: Tensor | None = None

    def copied(self) -> "Moments":
        """Return the same memory, apart."""
        first, second = (None if t is None else t.clone() for t in (self.first, self.second))
        return Moments(self.count, first, second)


class Optimiser(Protocol):
    """From the direction of ascent to the change of the weights, both as one flat tensor."""

    def start(self, weights: Tensor) -> Moments:
        """Return fresh moments for these weights."""
        ...

    def step(self, delta: Tensor, moments: Moments) -> Tensor:
        """Return the change; ``moments`` is brought up to date in place."""
        ...

    def share(self, delta: Tensor, moments: Moments) -> Tensor:
        """Return what a part of the last delta contributed to the last change."""
        ...


def clip_factor(delta: Tensor, largest: float) -> Tensor:
    """Return what to multiply a delta by so that no entry exceeds ``largest``; 1 at most."""
    least, most = torch.aminmax(delta)
    return torch.clamp(largest / (torch.maximum(most, -least) + 1e-6), max=1.0)


@dataclass(frozen=True, slots=True)
class SGD:
    """change = eta * delta."""

    rate: float

    def start(self, weights: Tensor) -> Moments:
        """Return fresh moments (none are needed)."""
        return Moments()

    def step(self, delta: Tensor, moments: Moments) -> Tensor:
        """Return eta * delta."""
        moments.count += 1
        return self.rate * delta

    def share(self, delta: Tensor, moments: Moments) -> Tensor:
        """Return eta * delta."""
        return self.rate * delta


@dataclass(frozen=True, slots=True)
class Adam:
    """change = eta * m^ / (sqrt(v^) + eps), with m, v the running means of delta and delta^2.

    m = b1 m + (1 - b1) delta;  v = b2 v + (1 - b2) delta^2;  m^ = m / (1 - b1^t);  v^ likewise.
    """

    rate: float
    betas: tuple[float, float] = (0.0, 0.9)
    epsilon: float = 1e-8

    def start(self, weights: Tensor) -> Moments:
        """Return zero moments; b1 = 0 needs no first one."""
        first = torch.zeros_like(weights) if self.betas[0] else None
        return Moments(0, first, torch.zeros_like(weights))

    def step(self, delta: Tensor, moments: Moments) -> Tensor:
        """Return the change; ``moments`` is brought up to date in place."""
        assert moments.second is not None
        moments.count += 1
        first = delta.new_empty(0) if moments.first is None else moments.first
        compiled = fused.kernels("adam", delta, first, moments.second)
        if compiled is not None:
            change = torch.empty_like(delta)
            rate = self.rate / (1 - self.betas[0] ** moments.count)
            root = 1 / math.sqrt(1 - self.betas[1] ** moments.count)
            arrays = map(fused.array, (delta, first, moments.second, change))
            compiled.step(*arrays, *self.betas, rate, root, self.epsilon)
            return change
        change = torch.zeros_like(delta)
        if moments.first is None:
            first = torch.zeros_like(delta)
        # torch's kernel descends from 0 at minus the rate: one pass in place of ten.
        torch._fused_adam_(
            [change], [delta], [first], [moments.second], [],
            [torch.full((), float(moments.count), device=delta.device)],  # filled there: no copy
            lr=-self.rate, beta1=self.betas[0], beta2=self.betas[1], weight_decay=0.0,
            eps=self.epsilon, amsgrad=False, maximize=False,
        )  # fmt: skip
        return change

    def share(self, delta: Tensor, moments: Moments) -> Tensor:
        """Return eta (1 - b1) / (1 - b1^t) * delta / (sqrt(v^) + eps): linear in the delta."""
        b1 = self.betas[0]
        return self._scaled(delta, moments, self.rate * (1 - b1) / (1 - b1**moments.count))

    def _scaled(self, direction: Tensor, moments: Moments, factor: float) -> Tensor:
        assert moments.second is not None
        correction = math.sqrt(1 - self.betas[1] ** moments.count)
        denominator = moments.second.sqrt().add_(self.epsilon * correction)
        return torch.div(direction, denominator).mul_(factor * correction)
