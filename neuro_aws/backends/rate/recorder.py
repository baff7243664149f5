"""What is recorded of a rate network: gathered step by step, written many steps at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.finite import FiniteCheck
from neuro_aws.backends.rate.moment import Moment
from neuro_aws.backends.rate.pending import Pending
from neuro_aws.backends.rate.samples import put_samples
from neuro_aws.backends.rate.scalars import ACH, GATE, RELEASE, ROWS, SPREAD, Columns, Scalars
from neuro_aws.functional.shapes import by_unit
from neuro_aws.model.network import Network
from neuro_aws.model.state import NetworkState
from neuro_aws.phase import WAKE
from neuro_aws.protocol.columns import PHASE_CODES, held_drives, recorded_units
from neuro_aws.protocol.schedule import StepSpec
from neuro_aws.protocol.schema import ActivityRecord, ProtocolSpec
from neuro_aws.recording.writer import Discard, Writer

Words = Callable[[int, int], Sequence[str]]
"""The perturbations in a cycle of a period, in words."""

Table = NDArray[np.int64]
"""Of steps: one row each, of ``STEP``, ``PERIOD``, ``CYCLE``, the code of the phase, ``NTH``."""

STEP, PERIOD, CYCLE, PHASE, NTH = range(5)


class Recorder:
    """What goes into the recording of one branch of one animal.

    A step's scalars stay in one row of a buffer on the network's device. ``write`` takes all rows
    at once to the recording, and looks at whether every change was finite. It is called when the
    buffer is full and by whoever needs the values.
    """

    def __init__(self, spec: ProtocolSpec, network: Network, team: Team, words: Words) -> None:
        self.spec, self.network, self.team, self.words = spec, network, team, words
        self.columns = Columns.of(network)
        self.finite = FiniteCheck(spec, network, self.columns)
        self._out: Writer = Discard()
        self._scalars = Scalars(self.columns, network.acetylcholine.baseline.device)
        self._steps: list[StepSpec] = []
        self._pending = Pending()
        self._ach, self._plasticity = spec.record.ach.every, spec.record.plasticity.every
        self._units = [(record, self._chosen(record)) for record in spec.record.activity]
        self._held = held_drives(spec)

    def into(self, out: Writer) -> None:
        """Record into ``out`` from the next step on."""
        self.write()
        self._out = out

    def step(self, moment: Moment) -> None:
        """Take what the protocol asks for of one step; no value of it is looked at."""
        if len(self._steps) == ROWS:
            self.write()
        spec, record = moment.spec, self.spec.record
        nth, at = spec.nth, len(self._steps)
        moment.record(self._scalars, at, nth % self._ach == 0, nth % self._plasticity == 0)
        self._steps.append(spec)
        self._pending.step = spec.step
        for activity, units in self._units:
            if nth % activity.every == 0:
                self.activity(activity, units, spec, moment.state)
        if spec.phase is WAKE:
            if self._held and nth % record.homeostasis.every == 0:
                self.homeostasis(spec)
            if record.samples.every and nth % record.samples.every == 0:
                put_samples(self._pending, moment, self.network.depth, self.team)

    def write(self) -> None:
        """Write what has been gathered; refuse to go on from changes that are not finite.

        Up to and with the first step with such a change, everything is written; nothing after it.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return
        rows = self._scalars.host(len(steps))
        broken = self.finite([spec.step for spec in steps], rows)
        if broken is not None:
            steps, rows = steps[: broken.row + 1], rows[: broken.row + 1]
        self._pending.write(self._out, steps[-1].step)
        if self._out.keeps:
            table = _table(steps)
            self._write_scalars(table, rows)
            self._write_intervals(table)
        if broken is not None:
            raise broken.error

    def _write_scalars(self, table: Table, rows: NDArray[np.float64]) -> None:
        """Write ACh, its release and its gate; and teaching signals and changes by layer."""
        columns = self.columns
        values = {"ach": ACH, "ach_spread": SPREAD, "release": RELEASE, "gate": GATE}
        self._write_table("neuromodulators", table, self._ach, rows, values)
        values = {f"layer{k}/teaching": c for k, c in enumerate(columns.teaching, start=1)}
        for (kind, layer), column in columns.raw.items():
            values[f"layer{layer}/{kind}_raw"] = column
            values[f"layer{layer}/{kind}_applied"] = columns.applied[kind, layer]
        self._write_table("plasticity", table, self._plasticity, rows, values)

    def _write_table(
        self,
        here: str,
        table: Table,
        every: int,
        rows: NDArray[np.float64],
        values: dict[str, int],
    ) -> None:
        due = table[:, NTH] % every == 0
        if not due.any():
            return
        put, table, rows = self._out.put_many, table[due], rows[due]
        put(f"{here}/step", table[:, STEP])
        put(f"{here}/phase", table[:, PHASE])
        for name, column in values.items():
            put(f"{here}/{name}", rows[:, column])

    def _write_intervals(self, table: Table) -> None:
        """Write which phase each step was in, and what was done to it."""
        put, step = self._out.intervals, table[0, STEP]
        starts, stops = _runs(table[:, [PHASE]])
        codes = table[starts, PHASE]
        for phase, code in PHASE_CODES.items():
            chosen = codes == code
            put("phases", str(phase), step + starts[chosen], step + stops[chosen])
        for start, stop in zip(*_runs(table[:, [PERIOD, CYCLE]]), strict=True):
            first, after = np.array([step + start]), np.array([step + stop])
            for words in self.words(int(table[start, PERIOD]), int(table[start, CYCLE])):
                put("perturbations", words, first, after)

    def homeostasis(self, spec: StepSpec) -> None:
        """Record the running statistics of the drives that are held, and the thresholds."""
        here, put = "homeostasis", self._pending.put
        put(f"{here}/step", spec.step)
        for layer, what in self._held:
            around = self.network.layers[layer - 1 if what == "soma" else layer]
            homeostat = getattr(around.homeostats, what)
            path = f"{here}/layer{layer}/{what}"
            # Copies: the tensors go on changing in place while rows wait to be written.
            put(f"{path}_mean", homeostat.kept.mean.clone())
            put(f"{path}_variance", homeostat.kept.variance.clone())
            if what == "soma":
                put(f"{here}/layer{layer}/threshold", around.feedforward[1].clone())

    def activity(
        self, record: ActivityRecord, units: Tensor | None, spec: StepSpec, state: NetworkState
    ) -> None:
        """Record batch means of somata and dendrites of the chosen units."""
        here, put = f"activity/layer{record.layer}", self._pending.put
        put(f"{here}/step", spec.step)
        put(f"{here}/soma", _of(by_unit(state.layers[record.layer].soma), units))
        put(f"{here}/dendrite", self._dendrite(state, record.layer, units))

    def _chosen(self, record: ActivityRecord) -> Tensor | None:
        """Return which units are recorded; None: all."""
        ids, device = recorded_units(record, self.spec), self.network.acetylcholine.baseline.device
        if ids == list(range(self.spec.network.layers[record.layer])):
            return None
        return torch.tensor(ids, device=device)

    def _dendrite(self, state: NetworkState, layer: int, units: Tensor | None) -> Tensor:
        if layer == self.network.depth:
            return torch.full_like(_of(by_unit(state.layers[layer].soma), units), torch.nan)
        predicted = state.layers[layer].dendrite
        if predicted is None:
            above, asleep = state.layers[layer + 1].soma, state.phase is not WAKE
            predicted = self.network.layers[layer].predict(above, asleep)
        return _of(by_unit(predicted.rate), units)


def _of(values: Tensor, units: Tensor | None) -> Tensor:
    """Return values of the chosen units, without a graph that would keep what they came from."""
    return (values if units is None else values[units]).detach()


def _table(steps: Sequence[StepSpec]) -> Table:
    return np.array([(s.step, s.period, s.cycle, PHASE_CODES[s.phase], s.nth) for s in steps])


def _runs(keys: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where equal rows that follow each other begin and end."""
    edges = 1 + np.flatnonzero((keys[1:] != keys[:-1]).any(1))
    return np.append(0, edges), np.append(edges, len(keys))
