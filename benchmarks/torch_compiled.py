"""A pair of wake and REM under torch.compile: the written-out rules, one graph a phase.

The project's own propagation, ACh and Deltas are traced with the weights as flat inputs; Adam (b1 =
0) is written beside them, noise is drawn inside the graph. What a user of torch would try first.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neuro_aws.algorithms import Algorithm
from neuro_aws.functional.optimisers import Adam
from neuro_aws.model.network import NO_GAINS, Network
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, REM, WAKE, Phase

KINDS = (FEEDFORWARD, FEEDBACK, DISCRIMINATOR)


class Drawn:
    """Numbers drawn where they are needed, inside the graph."""

    def normal(self, shape: torch.Size) -> Tensor:
        """Return draws from N(0, 1)."""
        return torch.randn(shape)

    def uniform(self, shape: torch.Size) -> Tensor:
        """Return draws from U(0, 1)."""
        return torch.rand(shape)


class Played:
    """Numbers that were given, in the order in which they are asked for."""

    def __init__(self, numbers: list[Tensor]) -> None:
        self._numbers = iter(numbers)

    def normal(self, shape: torch.Size) -> Tensor:
        """Return the next numbers."""
        return next(self._numbers)


class CompiledRules:
    """Weights and second moments, and the two compiled functions that change them."""

    def __init__(self, network: Network, algorithm: Algorithm, updates: Any) -> None:
        self.network, self.algorithm = network, algorithm
        self.weights = [network.flat(kind).clone() for kind in KINDS]
        self.second = [torch.zeros_like(w) for w in self.weights]
        self.rules: list[Adam] = [updates.plasticity[kind].optimiser for kind in KINDS]
        self.step = torch.zeros((), dtype=self.weights[0].dtype)
        # Guards are left out in its favour: nothing changes that they look for. Without them
        # a graph made for another instance would be taken for this one.
        torch.compiler.reset()
        unguarded: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
        compiled: Callable[..., Any] = torch.compile(
            fullgraph=True, dynamic=False, options=unguarded
        )
        self._wake, self._rem = compiled(self.wake), compiled(self.rem)

    def pair(self, x: Tensor, given: tuple[list[Tensor], Tensor, list[Tensor]] | None) -> None:
        """Take a wake step and a REM step: F and G change in wake, D on both."""
        self.step += 1
        up, top, down = (None, None, None) if given is None else given
        with torch.inference_mode():
            pending = self._wake(x, up)
            self._rem(len(x), pending, top, down)

    def wake(self, x: Tensor, up: list[Tensor] | None) -> Tensor:
        """Change F and G; return what D is to change by."""
        deltas = self._deltas(WAKE, x, up)
        self._adam(0, deltas[FEEDFORWARD])
        self._adam(1, deltas[FEEDBACK])
        pending: Tensor = deltas[DISCRIMINATOR]
        return pending

    def rem(
        self, batch: int, pending: Tensor, top: Tensor | None, down: list[Tensor] | None
    ) -> None:
        """Change D on wake and REM together."""
        drawn = torch.randn(batch, self.network.sizes[-1]) if top is None else top
        self._adam(2, pending + self._deltas(REM, drawn, down)[DISCRIMINATOR])

    def _deltas(self, phase: Phase, stimulus: Tensor, given: list[Tensor] | None) -> Any:
        network, noise = self.network, Drawn() if given is None else Played(given)
        own = [network.parameters(kind) for kind in KINDS]
        for kind, flat in zip(KINDS, self.weights, strict=True):
            network.put(kind, network.named(kind, flat))
        state = self.algorithm.propagate(network, stimulus, phase, noise, NO_GAINS)  # type: ignore[arg-type]
        found = self.algorithm.deltas(network, state, network.acetylcholine(state), phase)
        for kind, tensors in zip(KINDS, own, strict=True):
            network.put(kind, tensors)
        return {
            kind: torch.cat([delta.tensors[name].reshape(-1) for name in network.parameters(kind)])
            for kind, delta in found.items()
        }

    def _adam(self, k: int, delta: Tensor) -> None:
        rule, second = self.rules[k], self.second[k]
        b2 = rule.betas[1]
        second.mul_(b2).addcmul_(delta, delta, value=1 - b2)
        root = (second / (1 - b2**self.step)).sqrt()
        self.weights[k].add_(rule.rate * delta / (root + rule.epsilon))
