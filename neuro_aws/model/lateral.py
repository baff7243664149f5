"""Lateral projections: the units of a layer drive each other, from one step to the next."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from neuro_aws.model.state import NetworkState


class Lateral:
    """The lateral weights of some layers, and the state that they carry from step to step.

        a_i(t)  gets  + L_i h_i(t - 1)

    Symbols: a_i the potential that drives the soma, in wake, REM and NREM alike; L_i =
    ``weights[i]`` (units, units), a unit's own included; h_i(t - 1) the soma of the previous step,
    sample by sample in the order of the batch, and 0 at the first step. Silencing a cell silences
    what it sends to its neighbours in the next step.

    The state applies inside ``following()``, as the steps of a run do. Whatever else passes through
    the network (a measure, say) starts from zeros and leaves the state alone.
    """

    def __init__(self, weights: Mapping[int, Tensor]) -> None:
        self.weights = dict(weights)
        self._previous: dict[int, Tensor] = {}
        self._following = False

    @contextmanager
    def following(self) -> Iterator[None]:
        """Let passes through the network follow upon the step before."""
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def previous(self, layer: int, like: Tensor) -> Tensor:
        """Return h_i(t - 1) for activity of a shape: zeros outside ``following`` and at first."""
        kept = self._previous.get(layer) if self._following else None
        return torch.zeros_like(like) if kept is None or kept.shape != like.shape else kept

    def drive(self, layer: int, previous: Tensor) -> Tensor:
        """Return L_i h_i(t - 1)."""
        return previous @ self.weights[layer].mT

    def remember(self, state: NetworkState) -> None:
        """Keep the somata of a step for the next one."""
        for layer in self.weights:
            self._previous[layer] = state.layers[layer].soma.detach()

    def reset(self) -> None:
        """Forget the step before: the next one starts from zeros."""
        self._previous.clear()

    def buffers(self) -> dict[str, Tensor]:
        """Return the state by name; without rows where there was no step yet."""
        return {
            f"layer{layer}": self._previous.get(layer, weight.new_zeros(0, len(weight)))
            for layer, weight in self.weights.items()
        }

    def load(self, buffers: Mapping[str, Tensor]) -> None:
        """Take up the state where ``buffers`` left it."""
        self.reset()
        for layer in self.weights:
            kept = buffers[f"layer{layer}"]
            if len(kept):
                self._previous[layer] = kept.clone()
