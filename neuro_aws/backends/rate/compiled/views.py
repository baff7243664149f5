"""A moment of the compiled step: tensors that look at its memory, made when they are asked for."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from neuro_aws.backends.rate.compiled.layout import (
    FIRING,
    GRADIENT,
    NONE,
    NORM,
    P_POTENTIAL,
    P_RATE,
    P_VALUE,
    POTENTIAL,
    PREDICTED,
    SCALAR,
    START,
    UNGAINED,
    VALUE,
    C,
    Plan,
    U,
    Y,
)
from neuro_aws.backends.rate.compiled.memory import Array, Room
from neuro_aws.backends.rate.compiled.rate_functions import BARE
from neuro_aws.backends.rate.compiled.scalars import (
    There,
    Vectors,
    note,
    stretches,
)
from neuro_aws.backends.rate.moment import Lengths, Neuromodulators, lengths, neuromodulators
from neuro_aws.backends.rate.scalars import Scalars
from neuro_aws.functional.compartments import Fired
from neuro_aws.functional.discriminator import Potential, Reading
from neuro_aws.model.network import Network
from neuro_aws.model.state import (
    AcetylcholineSignal,
    Delta,
    Deltas,
    LayerState,
    NetworkState,
    OwnReading,
)
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDFORWARD, NREM, WAKE, Phase
from neuro_aws.protocol.schedule import StepSpec


class Views:
    """Tensors on the memory of a compiled step, for whoever looks at a moment."""

    def __init__(self, network: Network, plan: Plan, room: Room, levels: dict[Phase, Tensor]):
        self.network, self.plan, self.room, self.levels = network, plan, room, levels
        self.delta, self.change = Vectors(network), Vectors(network)
        self.vectors, self.arrays = self.delta.by_kind, self.delta.arrays
        self.changes, self.changed = self.change.by_kind, self.change.arrays
        self.deltas = {kind: network.named(kind, vector) for kind, vector in self.vectors.items()}
        self.deviation = torch.zeros_like(network.flat(FEEDFORWARD))
        self.excess = torch.zeros_like(levels[WAKE])
        self.stretches = stretches(network, self.delta.starts)
        self.there = There(network.kinds)
        self.arrays_of_levels = {phase: level.numpy() for phase, level in levels.items()}
        self._excess, self._none = self.excess.numpy(), np.zeros(0, self.delta.array.dtype)
        self._teaching_starts = plan.layers[START, 1 : network.depth + 2] * room.batch
        self._noise = {
            True: room.noise(range(1, network.depth + 1)),
            False: room.noise(range(network.depth - 1, -1, -1)),
        }
        self._states: dict[Phase, tuple[Slots, NetworkState]] = {}

    def noise(self, awake: bool) -> list[Tensor]:
        """Return the memory of the noise of each layer, in the order in which they fire."""
        return self._noise[awake]

    def state(self, phase: Phase, slots: Slots) -> NetworkState:
        """Return the activity of all layers; the same tensors step by step."""
        known = self._states.get(phase)
        if known is None or known[0] is not slots:
            known = (slots, self._state(phase, slots))
            self._states[phase] = known
        return known[1]

    def _state(self, phase: Phase, slots: Slots) -> NetworkState:
        awake, depth = phase is WAKE, self.network.depth
        order = range(1, depth + 1) if awake else range(depth - 1, -1, -1)
        drawn = dict(zip(order, self.noise(awake), strict=True))
        states = []
        for j in range(depth + 1):
            soma, gain = self.room.rows(FIRING, j), slots.gains.get(j)
            if j not in order:
                states.append(LayerState(soma, soma, gain=gain))
                continue
            outer = gain is not None and not self.plan.gain_first
            noisy = self.plan.sigma > 0 and bool(j or self.plan.noisy_bottom)
            drive = Fired(
                self.room.rows(UNGAINED, j) if outer else soma,
                self.room.rows(POTENTIAL, j),
                self.room.rows(VALUE, j),
                self._pool(0, j, self.plan.layers[NORM]),
                None if outer else gain,
            )
            xi = drawn[j] if noisy else None
            states.append(LayerState(soma, soma, drive, xi, gain if outer else None))
        if awake:
            for i in range(depth):
                predicted = Fired(
                    self.room.rows(P_RATE, i),
                    self.room.rows(P_POTENTIAL, i),
                    self.room.rows(P_VALUE, i),
                    self._pool(1, i, self.plan.layers[PREDICTED]),
                )
                s = states[i]
                states[i] = LayerState(s.soma, s.transmitted, s.drive, s.xi, s.gain, predicted)
        return NetworkState(phase, tuple(states))

    def teaching(self, sent: int) -> Array:
        """Return the teaching signals of all layers, or the one of all of them."""
        if self.plan.credit == SCALAR:
            return self._excess
        found: Array = self.room.space.activity[sent]
        return found

    def record(self, seen: "Seen", into: Scalars, at: int, signals: bool, plasticity: bool) -> None:
        """Write the scalars of a step into a row."""
        assert into.array is not None
        level = release = teaching = self._none
        baseline = seen.baseline
        if signals:
            level = self.arrays_of_levels[seen.spec.phase]
            if seen.signal is not None:
                release = seen.signal.release.numpy()
            elif seen.spec.phase is NREM:
                baseline = np.nan
        if plasticity and seen.has_teaching:
            teaching = self.teaching(seen.sent)
        note(
            into.array, at, level, release, baseline, seen.gate, plasticity, self.delta.array,
            self.change.array, self.stretches, self.there(seen.kinds, tuple(seen.changes)),
            teaching, self._teaching_starts, self.plan.credit, self.room.batch,
        )  # fmt: skip

    def _pool(self, which: int, layer: int, norms: Array) -> Tensor | None:
        if norms[layer] == BARE:
            return None
        return self.room.pools[which, layer].unsqueeze(-1)

    def signal(self, phase: Phase, release: Tensor, sent: int) -> AcetylcholineSignal:
        """Return ACh before anything is done to it."""
        room, level, layers = self.room, self.levels[phase], range(self.network.depth + 1)
        u, y, c = room.hidden[U], room.hidden[Y], room.hidden[C]
        reading = Reading(level, u, y, None, c)
        at = Potential(u, [room.rows(FIRING, j) for j in layers], [])
        gradient = [room.rows(GRADIENT, j) for j in layers]
        teaching = gradient if sent == GRADIENT else [room.rows(sent, j) for j in layers]
        own = OwnReading(at, reading, reading, gradient, level)
        return AcetylcholineSignal(level, release, teaching, float(phase is WAKE), own)


@dataclass
class Seen:
    """A moment of the compiled step. Its tensors are those that the next step writes into.

    ``signal`` is ACh as a perturbation left it (None: nothing was done to it), ``gate`` its mean
    gate, ``sent`` the buffer of teaching signals, ``baseline`` that of ACh before this step.
    """

    views: Views
    spec: StepSpec
    slots: Slots
    labels: Tensor | None
    signal: AcetylcholineSignal | None
    gate: float
    baseline: float
    sent: int
    kinds: tuple[str, ...]
    changes: dict[str, Tensor] = field(default_factory=dict)
    by_sample: bool = False

    @property
    def level(self) -> Tensor:
        """Return D of each sample, as the discriminator reads it."""
        return self.views.levels[self.spec.phase]

    @cached_property
    def state(self) -> NetworkState:
        """Return the activity of all layers."""
        return self.views.state(self.spec.phase, self.slots)

    @cached_property
    def ach(self) -> AcetylcholineSignal:
        """Return ACh as it reached the synapses."""
        if self.signal is not None:
            return self.signal
        return self.views.signal(self.spec.phase, self._release(), self.sent)

    def _release(self) -> Tensor:
        if self.spec.phase is NREM:
            return torch.zeros_like(self.level)
        return self.level - self.baseline

    @cached_property
    def deltas(self) -> Deltas:
        """Return what each kind of projection would change by."""
        views = self.views
        found: Deltas = {kind: Delta(views.deltas[kind]) for kind in self.kinds}
        if FEEDFORWARD in found and self.has_teaching:
            deviation = None
            if self.by_sample:
                deviation = views.network.named(FEEDFORWARD, views.deviation)
            tensors = views.deltas[FEEDFORWARD]
            found[FEEDFORWARD] = Delta(tensors, self.gate, deviation, self._teaching())
        return found

    @property
    def has_teaching(self) -> bool:
        """Say whether ACh teaches in this step."""
        return self.spec.phase is WAKE and FEEDFORWARD in self.kinds

    def _teaching(self) -> list[Tensor]:
        plan, depth = self.views.plan, self.views.network.depth
        if plan.credit == SCALAR:
            return [self.views.excess.unsqueeze(-1)] * depth
        if plan.credit == NONE:
            return [torch.zeros_like(self.level).unsqueeze(-1)] * depth
        return [self.views.room.rows(self.sent, j) for j in range(1, depth + 1)]

    def record(self, into: Scalars, at: int, signals: bool, plasticity: bool) -> None:
        """Write the scalars of the step into a row."""
        self.views.record(self, into, at, signals, plasticity)

    def neuromodulators(self) -> Neuromodulators:
        """Return ACh as it is recorded."""
        return neuromodulators(self, self.views.network)

    def lengths(self) -> Lengths:
        """Return the lengths of teaching signals and changes as they are recorded."""
        return lengths(self, self.views.network)
