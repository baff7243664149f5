"""The scalars of steps: one row a step, in one buffer on the network's device.

A step writes its row and waits for nothing: no number goes to the host before all rows do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.model.network import Network
from neuro_aws.model.state import Tensors
from neuro_aws.protocol.projections import changes_by_layer

ROWS = 512
"""Of a buffer: so many steps are at most looked at together."""

ACH, SPREAD, RELEASE, GATE = range(4)
"""The first columns: mean and spread of D over the batch, mean release, mean gate."""

SIGNALS = 4
REST = -1
"""In the place of a layer: those weights of a kind that are recorded under none."""

Where = tuple[str, int]
"""A kind of projection, and the layer that its changes are recorded under; or ``REST``."""

Kinds = tuple[str, ...]


@dataclass
class Columns:
    """Which scalar of a step stands where in a row.

    ``teaching`` of the layers from 1 on, ``raw`` and ``applied`` lengths by kind and layer;
    ``names`` are the tensors that each of the latter two is the length of. ``raw`` has no ``REST``.
    """

    depth: int
    names: dict[Where, tuple[str, ...]]
    raw: dict[Where, int] = field(init=False)
    applied: dict[Where, int] = field(init=False)

    def __post_init__(self) -> None:
        first = SIGNALS + self.depth
        recorded = [where for where in self.names if where[1] != REST]
        self.raw = {where: first + k for k, where in enumerate(recorded)}
        first += len(recorded)
        self.applied = {where: first + k for k, where in enumerate(self.names)}

    @classmethod
    def of(cls, network: Network) -> "Columns":
        """Return the columns of a network."""
        names: dict[Where, tuple[str, ...]] = {}
        rest: dict[Where, tuple[str, ...]] = {}
        groups = changes_by_layer(network.projections)
        for kind in network.kinds:
            layers = groups.get(kind, {})
            names |= {(kind, layer): group for layer, group in layers.items()}
            known = {name for group in layers.values() for name in group}
            left = tuple(name for name in network.parameters(kind) if name not in known)
            if left:
                rest[kind, REST] = left
        return cls(network.depth, names | rest)

    @property
    def teaching(self) -> range:
        """Return the columns of the teaching signals, from layer 1 on."""
        return range(SIGNALS, SIGNALS + self.depth)

    @property
    def count(self) -> int:
        """Return how many columns there are."""
        return SIGNALS + self.depth + len(self.raw) + len(self.applied)


class _Arranged(NamedTuple):
    """Which norms make up each column after the signals, and what their root is divided by."""

    parts: Tensor
    divisor: Tensor


class Scalars:
    """A buffer of rows; ``array`` is its memory, where that is the host's."""

    def __init__(self, columns: Columns, device: torch.device, rows: int = ROWS) -> None:
        self.columns = columns
        self.rows = torch.zeros(rows, columns.count, dtype=torch.float64, device=device)
        self.array: NDArray[Any] | None = self.rows.numpy() if device.type == "cpu" else None
        self._arranged = lru_cache(maxsize=64)(self._arrange)

    def host(self, count: int) -> NDArray[Any]:
        """Return the first rows on the host: the one moment at which anything waits for a step."""
        return self.rows[:count].cpu().numpy() if self.array is None else self.array[:count]

    def signals(self, at: int, level: Tensor, release: Tensor, gate: Tensor | float) -> None:
        """Write ACh into a row."""
        spread, mean = torch.std_mean(level)
        gated = gate.mean() if isinstance(gate, Tensor) else level.new_full((), gate)
        self.rows[at, :SIGNALS] = torch.stack([mean, spread, release.mean(), gated])

    def lengths(
        self,
        at: int,
        teaching: Sequence[Tensor],
        raw: Mapping[str, Tensors],
        applied: Mapping[str, Tensors],
    ) -> None:
        """Write lengths into a row, all norms in one pass; those of kinds left out are 0."""
        names, tensors = self.columns.names, list(teaching)
        for found, columns in ((raw, self.columns.raw), (applied, self.columns.applied)):
            for where in columns:
                if where[0] in found:
                    tensors += [found[where[0]][name] for name in names[where]]
        samples = len(teaching[0]) if teaching else 0
        arranged = self._arranged(len(teaching), samples, tuple(raw), tuple(applied))
        squares = torch.zeros(1 + len(tensors), dtype=torch.float64, device=self.rows.device)
        if tensors:
            squares[1:] = torch.stack(torch._foreach_norm(tensors)).double().square()
        roots = squares[arranged.parts].sum(1).sqrt()
        self.rows[at, SIGNALS:] = roots / arranged.divisor

    def _arrange(self, teaching_layers: int, samples: int, raw: Kinds, applied: Kinds) -> _Arranged:
        """Say which of the norms, from 1 on, belong to each column; 0 stands for none."""
        columns, after = self.columns, self.columns.count - SIGNALS
        widest = max((len(group) for group in columns.names.values()), default=1)
        parts, divisor = np.zeros((after, widest), np.int64), np.ones(after)
        at = 1
        if teaching_layers:
            parts[:teaching_layers, 0] = np.arange(at, at + teaching_layers)
            divisor[:teaching_layers] = samples**0.5
            at += teaching_layers
        for found, places in ((raw, columns.raw), (applied, columns.applied)):
            for where, column in places.items():
                if where[0] in found:
                    count = len(columns.names[where])
                    parts[column - SIGNALS, :count] = np.arange(at, at + count)
                    at += count
        device = self.rows.device
        return _Arranged(torch.from_numpy(parts).to(device), torch.from_numpy(divisor).to(device))
