"""What goes into a block of a spiking simulation, and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass

from neuro_aws.backends.spiking.brian2_compat import Array

STREAM = 500.0
"""Spikes and potentials are handed on every so many ms of biological time."""

GATES = ("feedforward", "feedback", "ach", "homeostasis")


@dataclass
class Drive:
    """What happens in each step of a segment: (steps,) or (steps, neurons)."""

    wake: Array
    potential: Array
    """Of what drives layer 0 in wake and the top layer in sleep."""
    gain: Array
    """Factor on every cell's firing intensity: 0 silences."""
    gates: dict[str, Array]
    clamp: Array
    """Released ACh where it is held; nan where it is free."""


@dataclass(frozen=True)
class Piece:
    """What cells did since the piece before; a segment gives one every ``STREAM`` ms."""

    time: Array
    """Of every spike, ms from the start of the segment."""
    neuron: Array
    read_at: Array
    """When potentials were read, ms from the start of the segment."""
    potentials: dict[str, Array]
    """U and V_star of the traced cells (updates, cells)."""


@dataclass(frozen=True)
class Follower:
    """How a segment is followed while it is simulated."""

    receive: Callable[[Piece], None]
    stopped: Callable[[], bool] = lambda: False
    """Asked at every piece: should it be cut short?"""
    rows: frozenset[int] = frozenset()
    """After how many of its steps weights are to be kept."""


@dataclass(frozen=True)
class BlockResult:
    """What a segment gave: spikes, and what was read at every update and at every step's end."""

    time: Array
    """Of every spike, ms from the start of the segment; none if they were handed on meanwhile."""
    neuron: Array
    level: Array
    """ACh at every update."""
    delta: Array
    """Released ACh above its fast baseline, at every update."""
    expected: Array
    """Spikes that each dendrite expected of its cell in each step (steps, neurons)."""
    weights: dict[int, dict[str, Array]]
    """Weights after so many steps, by projection, as Brian2 holds them."""
