"""Monitors of a spiking cortex: they read it while it is simulated and change nothing."""

from typing import Any

import numpy as np

from neuro_aws.backends.spiking.blocks import BlockResult, Follower, Piece
from neuro_aws.backends.spiking.brian2_compat import Array, State, brian2, emptied, writes_programs
from neuro_aws.protocol.spiking import SpikingSection

Clock = dict[str, Any]
"""A Brian2 clock by the keyword it is given with."""


class Monitors:
    """Monitors of spikes, potentials and ACh, and two functions that Brian2 calls."""

    def __init__(
        self,
        seen: dict[str, Any],
        section: SpikingSection,
        traced: Array | None,
        update: Clock,
        step: Clock,
        stream: Clock,
    ) -> None:
        """Monitors Brian2's objects ``seen``; spikes are handed on by the clock ``stream``."""
        b2 = self.b2 = brian2()
        self.seen, self.section = seen, section
        late = {"when": "end", "order": 100}
        self.objects: dict[str, Any] = {
            "spikes": b2.SpikeMonitor(seen["cortex"], name="spikes"),
            "ach_trace": b2.StateMonitor(
                seen["ach"], ["level", "delta"], record=True, name="ach_trace", **update, **late
            ),
            "expected": b2.StateMonitor(
                seen["cortex"], "expected", record=True, name="expected", **step, **late
            ),
        }
        if traced is not None and len(traced):
            self.objects["potentials"] = b2.StateMonitor(
                seen["cortex"], ["U", "V_star"], record=traced, name="potentials", **update, **late
            )
        if not writes_programs():  # which would silently leave out a Python function
            late["order"] = 200
            for name, call, clock in (("stream", self._stream, stream), ("look", self._look, step)):
                self.objects[name] = b2.NetworkOperation(call, name=name, **clock, **late)

    def begin(self, start: float, follower: Follower | None) -> None:
        """Get ready for a segment that starts at ``start`` ms of Brian2's clock."""
        self._pieces: list[Piece] = []
        self._follower = follower or Follower(self._pieces.append)
        self._start = start
        self._weights: dict[int, State] = {}
        self.seen["cortex"].expected = 0.0

    def end(self, alone: bool) -> BlockResult:
        """Return what the segment gave; ``alone``: a program has simulated all of it at once."""
        self._follower.receive(self._piece())
        o = self.objects
        expected = np.asarray(o["expected"].expected).T
        result = BlockResult(
            np.concatenate([np.zeros(0), *(piece.time for piece in self._pieces)]),
            np.concatenate([np.zeros(0, "i4"), *(piece.neuron for piece in self._pieces)]),
            np.asarray(o["ach_trace"].level)[0].copy(),
            np.asarray(o["ach_trace"].delta)[0].copy(),
            np.diff(expected, axis=0, prepend=0.0),
            self._weights,
        )
        if not alone:
            emptied(o)
        return result

    def _stream(self) -> None:
        """Hand on what cells did and forget it: memory must not grow with a segment."""
        self._follower.receive(self._piece())
        emptied(
            {name: self.objects[name] for name in ("spikes", "potentials") if name in self.objects}
        )
        if self._follower.stopped():
            self.b2.stop()

    def _look(self, t: Any) -> None:
        """Keep the weights as they are at the end of a step, where that is asked for."""
        ended = float(t / self.b2.ms) + self.section.dt - self._start
        row = round(ended / self.section.step)
        if row in self._follower.rows:
            self._weights[row] = {
                name: np.array(self.seen[name].w[:]) for name in ("feedforward", "feedback")
            }

    def _since(self, times: Any) -> Array:
        """Return times as ms from the start of the segment, on the grid of time steps."""
        h = self.section.dt
        return np.asarray(np.rint((np.asarray(times / self.b2.ms) - self._start) / h) * h)

    def _piece(self) -> Piece:
        spikes, read = self.objects["spikes"], self.objects.get("potentials")
        neuron = np.asarray(spikes.i).astype("i4")
        if read is None:
            return Piece(self._since(spikes.t), neuron, np.zeros(0), {})
        potentials = {v: np.asarray(getattr(read, v)).T.copy() for v in ("U", "V_star")}
        read_at = self._since(read.t) + self.section.dt
        return Piece(self._since(spikes.t), neuron, read_at, potentials)
