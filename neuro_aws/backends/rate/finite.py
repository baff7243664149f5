"""Changes that are no numbers any more: the step, the projection, the layer, and what to lower."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.backends.rate.scalars import REST, Columns, Where
from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.network import Network
from neuro_aws.protocol.schema import ProtocolSpec

KEPT = "What was recorded is kept"


class Broken(NamedTuple):
    """The first step of some whose changes are not finite: its row, and what is raised."""

    row: int
    error: NeuroAWSError


class FiniteCheck:
    """Looks at the lengths of all changes, of many steps at once."""

    def __init__(self, spec: ProtocolSpec, network: Network, columns: Columns) -> None:
        self.spec = spec
        self._where = list(columns.applied)
        self._columns = slice(*_ends(list(columns.applied.values())))
        tensors = {n: t for kind in network.kinds for n, t in network.parameters(kind).items()}
        groups = columns.names.values()
        self._sizes = np.array([sum(tensors[name].numel() for name in group) for group in groups])
        self._last = np.zeros(len(self._where))
        """The last length of each that was not 0."""

    def __call__(self, steps: Sequence[int], rows: NDArray[Any]) -> Broken | None:
        """Return the first of some steps whose changes are not finite, and how to say so."""
        lengths = rows[:, self._columns]
        finite = np.isfinite(lengths)
        if finite.all():
            self._remember(lengths)
            return None
        at = int(np.argmin(finite.all(1)))
        self._remember(lengths[:at])
        broken = [where for where, fine in zip(self._where, finite[at], strict=True) if not fine]
        return Broken(at, self._error(steps[at], broken))

    def _remember(self, lengths: NDArray[Any]) -> None:
        """Keep the last length of each that is not 0."""
        if not len(lengths):
            return
        some = lengths != 0
        latest = len(lengths) - 1 - np.argmax(some[::-1], axis=0)
        found = lengths[latest, np.arange(len(self._where))]
        self._last = np.where(some.any(0), found, self._last)

    def _error(self, step: int, broken: list[Where]) -> NeuroAWSError:
        kind, layer = min(_by_layer(broken) or broken)
        changed = [where for where, last in zip(self._where, self._last, strict=True) if last]
        each = dict(zip(self._where, self._last / np.sqrt(self._sizes), strict=True))
        cause = max(_by_layer(changed) or changed, key=lambda w: each[w], default=None)
        grown = ""
        if cause is not None:
            grown = f"; {_words(*cause)} weights had changed by {each[cause]:.2g} each"
        lower = self._setting(kind if cause is None else cause[0])
        return NeuroAWSError(
            f"{_words(kind, layer)} weights are no longer finite at step {step}{grown}",
            next_step=f"Lower {lower}. {KEPT}",
        )

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


def _by_layer(found: list[Where]) -> list[Where]:
    """Return those that are recorded under a layer: the more telling ones."""
    return [where for where in found if where[1] != REST]


def _ends(columns: list[int]) -> tuple[int, int]:
    return columns[0], columns[-1] + 1


def _words(kind: str, layer: int) -> str:
    return kind if layer == REST else f"{kind} (layer {layer})"
