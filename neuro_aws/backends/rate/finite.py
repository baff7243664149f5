"""Changes that are no numbers any more: the step, the projection, the layer, and what to lower."""

import math
from collections.abc import Mapping

import torch

from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.network import Network
from neuro_aws.model.state import Changes
from neuro_aws.protocol.projections import changes_by_layer
from neuro_aws.protocol.schema import ProtocolSpec

Where = tuple[str, int]
"""A kind of projection, and the layer that its changes are recorded under; -1: not known."""

KEPT = "What was recorded is kept"


class FiniteCheck:
    """Looks at the length of every change, as it is recorded; elsewhere at the whole change."""

    def __init__(self, spec: ProtocolSpec, network: Network) -> None:
        self.spec, self.network = spec, network
        self._sizes: dict[Where, int] = {}
        for kind, layers in changes_by_layer(network.projections).items():
            tensors = network.parameters(kind)
            for layer, names in layers.items():
                self._sizes[kind, layer] = sum(tensors[name].numel() for name in names)
        self._last: dict[Where, float] = {}

    def __call__(self, step: int, changes: Changes, lengths: Mapping[Where, float]) -> None:
        """Refuse to go on from a step whose changes are not finite.

        ``lengths`` of the changes by layer, where they were recorded.
        """
        if changes and not lengths:
            kinds = list(changes)
            norms = torch.stack(torch._foreach_norm([changes[k] for k in kinds])).tolist()
            lengths = {(kind, -1): norm for kind, norm in zip(kinds, norms, strict=True)}
        broken = [where for where, length in lengths.items() if not math.isfinite(length)]
        if broken:
            raise self._error(step, changes, broken)
        self._last |= {where: length for where, length in lengths.items() if length}

    def _error(self, step: int, changes: Changes, broken: list[Where]) -> NeuroAWSError:
        kind, layer = min(broken)
        if layer < 0:
            layer = self._layer(kind, changes)
        cause = max(self._last, key=self._per_weight, default=(kind, layer))
        grown = f"; {_words(*cause)} weights had changed by {self._per_weight(cause):.2g} each"
        return NeuroAWSError(
            f"{_words(kind, layer)} weights are no longer finite at step {step}"
            + (grown if cause in self._last else ""),
            next_step=f"Lower {self._setting(cause[0])}. {KEPT}",
        )

    def _per_weight(self, where: Where) -> float:
        """Return the root mean square of the last change of a weight."""
        kind, layer = where
        size = self.network.flat(kind).numel() if layer < 0 else self._sizes[where]
        return self._last.get(where, 0.0) / math.sqrt(max(size, 1))

    def _layer(self, kind: str, changes: Changes) -> int:
        parts = self.network.named(kind, changes[kind])
        layers = changes_by_layer(self.network.projections).get(kind, {})
        for layer, names in layers.items():
            if not all(math.isfinite(float(parts[name].norm())) for name in names):
                return layer
        return -1

    def _setting(self, kind: str) -> str:
        section = getattr(self.spec.algorithm, kind, None)
        rate = getattr(section, "rate", None)
        return "its rate (algorithm)" if rate is None else f"algorithm.{kind}.rate (now {rate:g})"


def refuse_not_finite(network: Network, step: int) -> None:
    """Refuse weights that are no numbers although every change was one (they grew too large)."""
    for kind in network.kinds:
        if not bool(torch.isfinite(network.flat(kind)).all()):
            names = network.parameters(kind)
            first = next(n for n, t in names.items() if not bool(torch.isfinite(t).all()))
            raise NeuroAWSError(
                f"{first} is no longer finite by step {step}",
                next_step=f"Lower the rate of {kind} (algorithm). {KEPT}",
            )


def _words(kind: str, layer: int) -> str:
    return kind if layer < 0 else f"{kind} (layer {layer})"
