"""All that happened in one step, whichever form of the step made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from neuro_aws.backends.rate.scalars import REST, SIGNALS, Columns, Scalars, Where
from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, Changes, Deltas, NetworkState, Tensors
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDFORWARD
from neuro_aws.protocol.schedule import StepSpec

ByLayer = dict[str, dict[int, float]]
"""A number of each kind of projection and layer."""


class Neuromodulators(NamedTuple):
    """ACh in one step: mean and spread of D over the batch, mean release, mean gate."""

    ach: float
    spread: float
    release: float
    gate: float


class Lengths(NamedTuple):
    """How long the changes of a step are.

    teaching      root mean square over samples of the teaching signal of each layer h_1 ... h_N
    raw, applied  of Deltas and of changes, by kind of projection and layer; a kind that did not
                  change is left out
    """

    teaching: list[float]
    raw: ByLayer
    applied: ByLayer


class Moment(Protocol):
    """All that happened in one step.

    Tensors may lie in memory that the next step uses again: copy what is to be kept.
    """

    @property
    def spec(self) -> StepSpec:
        """Return which step it was."""
        ...

    @property
    def slots(self) -> Slots:
        """Return what was done to it."""
        ...

    @property
    def state(self) -> NetworkState:
        """Return the activity of all layers."""
        ...

    @property
    def ach(self) -> AcetylcholineSignal:
        """Return ACh as it reached the synapses."""
        ...

    @property
    def deltas(self) -> Deltas:
        """Return what each kind of projection would change by."""
        ...

    @property
    def changes(self) -> Changes:
        """Return what the weights changed by."""
        ...

    @property
    def labels(self) -> Tensor | None:
        """Return those of the stimuli, where they have any."""
        ...

    @property
    def level(self) -> Tensor:
        """Return D of each sample, as the discriminator reads it."""
        ...

    def record(self, into: Scalars, at: int, signals: bool, plasticity: bool) -> None:
        """Write the scalars of the step into a row, without waiting for anything.

        ``signals``: ACh; ``plasticity``: teaching signals and Deltas. How long the changes are is
        written at every step.
        """
        ...

    def neuromodulators(self) -> Neuromodulators:
        """Return ACh as it is recorded."""
        ...

    def lengths(self) -> Lengths:
        """Return the lengths of teaching signals and changes as they are recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """A moment of the written-out step."""

    network: Network
    spec: StepSpec
    slots: Slots
    state: NetworkState
    ach: AcetylcholineSignal
    deltas: Deltas
    changes: Changes
    labels: Tensor | None = None

    @property
    def level(self) -> Tensor:
        """Return D of each sample, as the discriminator reads it."""
        return self.ach.own.reading.level

    def record(self, into: Scalars, at: int, signals: bool, plasticity: bool) -> None:
        """Write the scalars of the step into a row."""
        with torch.no_grad():
            if signals:
                into.signals(at, self.level, self.ach.release, self.ach.gate)
            raw: dict[str, Tensors] = {}
            teaching: list[Tensor] = []
            if plasticity:
                raw = {kind: delta.tensors for kind, delta in self.deltas.items()}
                found = self.deltas.get(FEEDFORWARD)
                teaching = (found.teaching if found is not None else None) or []
            applied = {kind: self.network.named(kind, v) for kind, v in self.changes.items()}
            into.lengths(at, teaching, raw, applied)

    def neuromodulators(self) -> Neuromodulators:
        """Return ACh as it is recorded."""
        return neuromodulators(self, self.network)

    def lengths(self) -> Lengths:
        """Return the lengths of teaching signals and changes as they are recorded."""
        return lengths(self, self.network)


def neuromodulators(moment: Moment, network: Network) -> Neuromodulators:
    """Return ACh of a moment as it is recorded."""
    return Neuromodulators(*_row(moment, Columns.of(network), network)[:SIGNALS])


def lengths(moment: Moment, network: Network) -> Lengths:
    """Return the lengths of a moment as they are recorded."""
    columns = Columns.of(network)
    row = _row(moment, columns, network)

    def by_layer(kinds: Mapping[str, object], places: Mapping[Where, int]) -> ByLayer:
        found: ByLayer = {}
        for (kind, layer), column in places.items():
            if kind in kinds and layer != REST:
                found.setdefault(kind, {})[layer] = row[column]
        return found

    return Lengths(
        [row[column] for column in columns.teaching],
        by_layer(moment.deltas, columns.raw),
        by_layer(moment.changes, columns.applied),
    )


def _row(moment: Moment, columns: Columns, network: Network) -> list[float]:
    one = Scalars(columns, network.acetylcholine.baseline.device, rows=1)
    moment.record(one, 0, signals=True, plasticity=True)
    row: list[float] = one.host(1)[0].tolist()
    return row
