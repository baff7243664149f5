"""The spiking cortex as a simulator: stimuli and dreams, plasticity, and what is recorded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from neuro_aws.backends.base import Array, Observed, State
from neuro_aws.backends.rate.build import load_dataset
from neuro_aws.backends.spiking.block_simulator import BlockSimulator
from neuro_aws.backends.spiking.blocks import BlockResult, Drive, Follower, Piece
from neuro_aws.backends.spiking.brian2_compat import State as Variables
from neuro_aws.backends.spiking.brian2_compat import now, ran
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.inputs import Inputs
from neuro_aws.backends.spiking.standalone import simulate_standalone
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics import function
from neuro_aws.metrics.spikes import SEEN, SpikeSubject, Window
from neuro_aws.metrics.subject import Value
from neuro_aws.phase import REM, WAKE, Phase
from neuro_aws.protocol import ArmPlan, TrunkPlan
from neuro_aws.protocol.agenda import Moment
from neuro_aws.protocol.columns import PHASE_CODES
from neuro_aws.protocol.entry import CORTEX
from neuro_aws.protocol.measure import Measure
from neuro_aws.protocol.spiking_columns import traced_cells
from neuro_aws.protocol.targets import followed, resolve
from neuro_aws.recording.writer import Writer
from neuro_aws.rng import measure_stream, stream_key


@dataclass(frozen=True)
class Past:
    """The block simulated last: its steps one by one, and the windows before it."""

    start: int
    rows: Window
    signals: dict[str, Array]
    phases: list[Phase]
    wake: Window
    rem: Window


LEARNT_BY = {
    "feedforward": "spiking.learning.feedforward",
    "feedback": "spiking.learning.feedback",
    "readout": "spiking.learning.ach",
}
"""Synapses and the setting that is the rate of their learning."""


class CortexSimulator(BlockSimulator):
    """A cortex of spiking neurons; a step is one stimulus, or one draw of the prior."""

    def build(self) -> None:
        """Make the cortex, its inputs, and empty windows to look back on."""
        self.traced = np.array(traced_cells(self.spec), int)
        self.cortex = Cortex(self.spec, self.animal, self.traced)
        self.dataset = load_dataset(self.spec, self.animal, torch.device("cpu"))
        self.inputs = Inputs(self.plan, self.animal, self.dataset, self.cortex)
        self.targets = {
            name: resolve(cells, self.spec, self.animal)
            for name, cells in followed(self.spec).items()
        }
        self.wake = self.rem = Window.empty(self.cortex.count)
        self._past: Past | None = None
        self._seen: dict[int, Variables] = {}

    @property
    def seconds(self) -> float:
        """Duration of a step (s)."""
        return self.section.step / 1000

    def block(
        self,
        start: int,
        stop: int,
        seed: int,
        due: frozenset[int],
        out: Writer,
        should_stop: Callable[[], bool],
    ) -> bool:
        """Simulate one block of biological time."""
        top = self.cortex.layer(len(self.cortex.sizes) - 1)
        drive, labels = self.inputs.drive(start, stop, self.wake.counts[:, top] / self.seconds)
        counts = np.zeros((stop - start, self.cortex.count), "u2")
        follower = Follower(
            lambda piece: self._receive(piece, counts, start * self.section.step, out),
            should_stop,
            frozenset(step - start for step in due),
        )
        if self.whole_periods:
            before = self.cortex.state()
            result, after = simulate_standalone(
                self.spec, self.animal, self.traced, before, drive, seed, follower
            )
            self.cortex.load(after)
        else:
            begun = now(self.cortex.network)
            result = self.cortex.simulate(drive, seed, self.section.segment_steps, follower)
            if not ran(self.cortex.network, begun, (stop - start) * self.section.step):
                return False
        self._refuse_not_finite(start, stop)
        self._seen = {start + row: weights for row, weights in result.weights.items()}
        self._record(drive, labels, result, counts, start, out)
        self._status = f"ACh {result.level[-1]:.2f}"
        return True

    def _receive(self, piece: Piece, counts: Array, since: float, out: Writer) -> None:
        """Record spikes and potentials, and count the spikes of every step."""
        put = out.extend
        which = np.minimum((piece.time / self.section.step + 1e-9).astype(int), len(counts) - 1)
        np.add.at(counts, (which, piece.neuron), 1)
        if self.section.spikes:
            put("spikes/time", piece.time + since)
            put("spikes/neuron", piece.neuron)
        if len(self.traced):
            put("potentials/time", piece.read_at + since)
            put("potentials/soma", piece.potentials["U"].astype("f4"))
            put("potentials/dendrite", piece.potentials["V_star"].astype("f4"))

    def _record(
        self,
        drive: Drive,
        labels: Array,
        result: BlockResult,
        counts: Array,
        start: int,
        out: Writer,
    ) -> None:
        """Record what belongs to every step, and move the windows on over the block."""
        steps, put = len(counts), out.extend
        stop = start + steps
        expected = result.expected.astype("f4")
        for i in range(len(self.cortex.sizes)):
            cells = self.cortex.layer(i)
            put(f"counts/layer{i}", counts[:, cells])
            put(f"counts/layer{i}_expected", expected[:, cells])
        put("counts/step", np.arange(start, stop))
        levels = result.level.reshape(steps, -1)
        here, specs = "neuromodulators", [self.plan.schedule(s) for s in range(start, stop)]
        put(f"{here}/step", np.arange(start, stop))
        put(f"{here}/phase", np.array([PHASE_CODES[s.phase] for s in specs], "u1"))
        put(f"{here}/label", labels.astype("i4"))
        signals = {
            "ach": levels.mean(1).astype("f4"),
            "release": result.delta.reshape(steps, -1).mean(1).astype("f4"),
            "gate": drive.gates["feedforward"].astype("f4"),
        }
        put(f"{here}/ach_spread", levels.std(1).astype("f4"))
        for name, values in signals.items():
            put(f"{here}/{name}", values)
        for spec in specs:
            self.intervals(spec, out)
        rows = Window(counts, expected, levels.mean(1), labels)
        self._past = Past(start, rows, signals, [s.phase for s in specs], self.wake, self.rem)
        self.wake, self.rem = self._windows(stop)

    def _windows(self, step: int) -> tuple[Window, Window]:
        """Return the last steps of wake and of REM, as they were after ``step`` steps."""
        past = self._past
        if past is None or step < past.start:
            return self.wake, self.rem
        most, phases = self.section.window_steps, past.phases[: step - past.start]
        wake, rem = (
            window.then(past.rows.at([r for r, p in enumerate(phases) if p is phase]), most)
            for window, phase in ((past.wake, WAKE), (past.rem, REM))
        )
        return wake, rem

    def values(self, what: Measure | str, at: Moment) -> Iterator[Value]:
        """Yield the values of one measure of spikes."""
        wake, rem = self._windows(at.step)
        name = what if isinstance(what, str) else what.measure
        subject = SpikeSubject(
            wake,
            rem,
            [self.cortex.layer(i) for i in range(len(self.cortex.sizes))],
            self.seconds,
            self.targets,
            self.memory,
            lambda: self.cortex.weights("feedforward", 1, self._seen.get(at.step)),
            stream_key(self.animal, measure_stream(name), at.step),
            at.onset,
        )
        return iter(function(what, CORTEX)(subject))

    def weights(self, step: int) -> State:
        """Return F and G, (post, pre)."""
        found, seen = {}, self._seen.get(step)
        for i in range(len(self.cortex.pairs)):
            found[f"feedforward_into{i + 1}"] = self.cortex.weights("feedforward", i + 1, seen)
            found[f"feedback_into{i}"] = self.cortex.weights("feedback", i, seen)
        return {name: weights.astype("f4") for name, weights in found.items()}

    def observed(self, what: str, layer: int | None, samples: bool) -> Observed:
        """Return a signal of the last block: ``ach``, ``release``, ``gate``, or of a layer.

        ``soma``: spikes of every cell in each step; ``dendrite``: those its dendrite expected.
        """
        past = self._past
        if past is None:
            raise NeuroAWSError("nothing has been simulated yet", next_step="Call step() first")
        if what in past.signals:
            return Observed(past.signals[what], ("step",), "1" if what == "gate" else "logit")
        counts = {"soma": past.rows.counts, "dendrite": past.rows.expected}
        if what not in counts:
            known = ", ".join([*past.signals, *counts])
            raise NeuroAWSError(f"no signal {what!r}", next_step=f"Signals: {known}")
        top = len(self.cortex.sizes) - 1
        if layer is None or not 0 <= layer <= top:
            raise NeuroAWSError(f"no layer {layer}", next_step=f"Layers: 0 to {top}")
        return Observed(counts[what][:, self.cortex.layer(layer)], ("step", "unit"), "spikes")

    def read(self, name: str) -> Array:
        """Return a copy of F or G, (post, pre)."""
        projection, layer = name.split("_into")
        return self.cortex.weights(projection, int(layer))

    def assign(self, name: str, values: Array) -> None:
        """Write F or G, (post, pre)."""
        projection, layer = name.split("_into")
        self.cortex.assign(projection, int(layer), values)
        self._seen = {}

    def replan(self, plan: ArmPlan | TrunkPlan) -> None:
        """Go on under other perturbations."""
        super().replan(plan)
        self.inputs = Inputs(plan, self.animal, self.dataset, self.cortex)

    def _refuse_not_finite(self, start: int, stop: int) -> None:
        for kind, setting in LEARNT_BY.items():
            if not self.cortex.finite(kind):
                names = self.weights(stop).items() if kind != "readout" else ()
                bad = [name for name, found in names if not np.isfinite(found).all()]
                which = next((name for name in bad if name.startswith(kind)), f"{kind} weights")
                raise NeuroAWSError(
                    f"{which} no longer finite within steps {start} to {stop - 1}",
                    next_step=f"Lower {setting}. What was recorded is kept",
                )

    def arrays(self) -> State:
        """Return the cortex's state and the windows that measures look back on."""
        windows = {
            f"{name}.{key}": getattr(window, key)
            for name, window in (("window_wake", self.wake), ("window_rem", self.rem))
            for key in SEEN
        }
        return {**self.cortex.state(), **windows}

    def restore(self, state: State) -> None:
        """Take up what ``arrays`` returned."""
        own = {k: v for k, v in state.items() if not k.startswith("window_")}
        self.cortex.load(own)
        self.wake, self.rem = (
            Window(*(state[f"{name}.{key}"] for key in SEEN))
            for name in ("window_wake", "window_rem")
        )
        self._past, self._seen = None, {}
