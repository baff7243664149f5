"""All that happened in one step, whichever form of the step made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, Changes, Deltas, NetworkState, Tensors
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDFORWARD
from neuro_aws.protocol.projections import changes_by_layer
from neuro_aws.protocol.schedule import StepSpec

Groups = Mapping[str, Mapping[int, tuple[str, ...]]]
"""The tensors whose changes are recorded together: kind -> layer -> names."""


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
    raw: dict[str, dict[int, float]]
    applied: dict[str, dict[int, float]]


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

    def neuromodulators(self) -> Neuromodulators:
        """Return ACh as it is recorded."""
        ach = self.ach
        spread, mean = torch.std_mean(self.level)
        gate = ach.gate if isinstance(ach.gate, float) else float(ach.gate.mean())
        return Neuromodulators(mean.item(), spread.item(), ach.release.mean().item(), gate)

    def lengths(self) -> Lengths:
        """Return the lengths of teaching signals and changes as they are recorded."""
        found = self.deltas.get(FEEDFORWARD)
        lengths = [0.0] * self.network.depth
        if found is not None and found.teaching is not None:
            root = found.teaching[0].shape[0] ** 0.5
            norms = torch.stack(torch._foreach_norm(found.teaching))
            lengths = [x / root for x in norms.tolist()]
        groups = changes_by_layer(self.network.projections)
        raw = {kind: delta.tensors for kind, delta in self.deltas.items()}
        applied = {kind: self.network.named(kind, v) for kind, v in self.changes.items()}
        return Lengths(lengths, _by_layer(groups, raw), _by_layer(groups, applied))


def _by_layer(groups: Groups, found: Mapping[str, Tensors]) -> dict[str, dict[int, float]]:
    """Return the lengths of tensors that are recorded together."""
    lengths: dict[str, dict[int, float]] = {}
    for kind, layers in groups.items():
        if kind not in found:
            continue
        names = [name for group in layers.values() for name in group]
        norms = torch.stack(torch._foreach_norm([found[kind][name] for name in names])).tolist()
        squares = {name: norm * norm for name, norm in zip(names, norms, strict=True)}
        lengths[kind] = {
            layer: sum(squares[name] for name in group) ** 0.5 for layer, group in layers.items()
        }
    return lengths
