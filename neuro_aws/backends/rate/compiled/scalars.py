"""The scalars of a compiled step: written by one kernel, in one pass, into a row of a buffer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.backends.rate.compiled.layout import NONE, SCALAR
from neuro_aws.backends.rate.scalars import ACH, GATE, RELEASE, REST, SIGNALS, SPREAD, Columns
from neuro_aws.functional.compiled.kernel import kernel, part
from neuro_aws.model.network import Network

Array = NDArray[Any]

START, STOP, KIND, RAW, APPLIED = range(5)
"""Of a stretch of vectors that is recorded as one length: where it lies, which of the kinds it is
of, and the columns of its Delta and its change."""

NOWHERE = -1
"""The column of what is not recorded."""

ALIGNED = 16
"""Vectors of kinds begin at multiples of so many numbers, as kernels read them fastest."""


class Vectors:
    """A vector a kind, all in one block of memory."""

    def __init__(self, network: Network) -> None:
        self.starts, at = {}, 0
        for kind in network.kinds:
            self.starts[kind] = at
            at += -(-network.flat(kind).numel() // ALIGNED) * ALIGNED
        self.block = torch.zeros(at, dtype=network.acetylcholine.baseline.dtype)
        self.array: Array = self.block.numpy()
        self.by_kind: dict[str, Tensor] = {
            kind: self.block[start : start + network.flat(kind).numel()]
            for kind, start in self.starts.items()
        }
        self.arrays: dict[str, Array] = {k: vector.numpy() for k, vector in self.by_kind.items()}


def stretches(network: Network, starts: Mapping[str, int]) -> Array:
    """Return the stretches of vectors that lie in one block, kind after kind."""
    columns, found = Columns.of(network), []
    for number, kind in enumerate(network.kinds):
        of = {name: w for w, names in columns.names.items() if w[0] == kind for name in names}
        at = starts[kind]
        for name, tensor in network.parameters(kind).items():
            where, stop = of[name], at + tensor.numel()
            raw = NOWHERE if where[1] == REST else columns.raw[where]
            found.append((at, stop, number, raw, columns.applied[where]))
            at = stop
    return np.array(found, np.int64).reshape(-1, 5)


class There:
    """Which kinds have a Delta and a change in a step, as kernels are told."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = tuple(kinds)
        self._known: dict[tuple[tuple[str, ...], ...], Array] = {}

    def __call__(self, raw: tuple[str, ...], applied: tuple[str, ...]) -> Array:
        """Return (2, kinds): of Deltas, of changes."""
        known = self._known.get((raw, applied))
        if known is None:
            known = np.array([[kind in some for kind in self._kinds] for some in (raw, applied)])
            self._known[raw, applied] = known
        return known


@part
def square(vector: Any) -> Any:
    """Return the sum of squares of a vector."""
    total = vector.dtype.type(0)
    for k in range(vector.size):
        total += vector[k] * vector[k]
    return total


@part
def _note_ach(out: Any, level: Any, release: Any, baseline: float, gate: float) -> None:
    """Write mean and spread of D, mean release and gate into a row.

    ``release`` is empty where it is D - ``baseline``; NaN for that says that nothing is released.
    """
    samples = level.size
    mean, spread, released = 0.0, 0.0, 0.0
    for s in range(samples):
        mean += level[s]
    mean /= samples
    for s in range(samples):
        spread += (level[s] - mean) ** 2
    for s in range(release.size):
        released += release[s]
    if release.size:
        released /= release.size
    elif baseline == baseline:
        released = mean - baseline
    out[ACH], out[SPREAD] = mean, np.sqrt(spread / (samples - 1))
    out[RELEASE], out[GATE] = released, gate


@kernel
def note(
    row: Any, at: int, level: Any, release: Any, baseline: float, gate: float, plasticity: bool,
    deltas: Any, changes: Any, table: Any, there: Any, teaching: Any, starts: Any, credit: int,
    batch: int,
) -> None:  # fmt: skip
    """Write the scalars of a step into a row: ACh, and the lengths of changes.

    ACh where ``level`` is not empty; with ``plasticity`` the lengths of Deltas and teaching too.

    ``teaching`` is that of all layers, of which layer i begins at ``starts[i - 1]``; empty where
    nothing is taught; what teaches all of them alike where ``credit`` is ``SCALAR``.
    """
    out = row[at]
    if level.size:
        _note_ach(out, level, release, baseline, gate)
    out[SIGNALS:] = 0.0
    for i in range(table.shape[0]):
        start, stop, kind = table[i, START], table[i, STOP], table[i, KIND]
        if plasticity and there[0, kind] and table[i, RAW] != NOWHERE:
            out[table[i, RAW]] += square(deltas[start:stop])
        if there[1, kind]:
            out[table[i, APPLIED]] += square(changes[start:stop])
    if plasticity and teaching.size and credit != NONE:
        for i in range(starts.size - 1):
            scalar = credit == SCALAR
            own = teaching if scalar else teaching[starts[i] : starts[i + 1]]
            out[SIGNALS + i] = square(own) / batch
    for k in range(SIGNALS, out.size):
        out[k] = np.sqrt(out[k])
