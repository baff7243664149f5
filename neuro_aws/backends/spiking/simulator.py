"""The life of a spiking cortex: stimuli and dreams, plasticity, and what is recorded of them."""

from collections.abc import Iterator

import numpy as np
import torch

from neuro_aws.backends.rate.build import load_dataset
from neuro_aws.backends.rate.simulator import Place
from neuro_aws.backends.spiking.blocks import Drive, Ears, Lived, Piece
from neuro_aws.backends.spiking.brian2_compat import Array, State, now, ran
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.inputs import Timeline
from neuro_aws.backends.spiking.life import Arrays, SpikingLife
from neuro_aws.backends.spiking.standalone import live_standalone
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics import function
from neuro_aws.metrics.spikes import SEEN, SpikeSubject, Window
from neuro_aws.metrics.subject import Value
from neuro_aws.phase import NREM, REM, WAKE, Phase
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.columns import PHASE_CODES
from neuro_aws.protocol.entry import CORTEX
from neuro_aws.protocol.spiking_columns import traced_cells
from neuro_aws.protocol.targets import followed, resolve
from neuro_aws.rng import measure_stream, stream_key


class CortexLife(SpikingLife):
    """A cortex of spiking neurons living through a protocol."""

    def __init__(self, protocol: Protocol, place: Place, save_seconds: float = 20.0) -> None:
        super().__init__(protocol, place, save_seconds)
        self.traced = np.array(traced_cells(self.spec), int)
        self.cortex = Cortex(self.spec, place.animal, self.traced)
        self.dataset = load_dataset(self.spec, place.animal, torch.device("cpu"))
        self.timeline = Timeline(self.plan, place.animal, self.dataset, self.cortex)
        self.targets = {
            name: resolve(cells, self.spec, place.animal)
            for name, cells in followed(self.spec).items()
        }
        self.wake = self.rem = Window.empty(self.cortex.count)
        self._seen: dict[int, State] = {}

    @property
    def seconds(self) -> float:
        """Duration of a step (s)."""
        return self.section.step / 1000

    def branched(self) -> None:
        """Keep the waking rates before the arms part."""
        if len(self.wake):
            self.memory["onset"] = self.wake.counts.mean(0) / self.seconds

    def live(self, start: int, stop: int, seed: int, due: frozenset[int]) -> bool:
        """Live one stretch of biological time."""
        top = self.cortex.layer(len(self.cortex.sizes) - 1)
        drive, labels = self.timeline.drive(start, stop, self.wake.counts[:, top] / self.seconds)
        counts = np.zeros((stop - start, self.cortex.count), "u2")
        ears = Ears(
            lambda piece: self._hear(piece, counts, start * self.section.step),
            self.stopped,
            frozenset(step - start for step in due),
        )
        if self.whole_periods:
            before = self.cortex.state()
            lived, after = live_standalone(
                self.spec, self.place.animal, self.traced, before, drive, seed, ears
            )
            self.cortex.load(after)
        else:
            begun = now(self.cortex.network)
            lived = self.cortex.live(drive, seed, self.section.segment_steps, ears)
            if not ran(self.cortex.network, begun, (stop - start) * self.section.step):
                return False
        self._finite(stop)
        self._seen = {start + row: weights for row, weights in lived.weights.items()}
        self._record(drive, labels, lived, counts, start)
        self.note = f"ACh {lived.level[-1]:.2f}"
        return True

    def _hear(self, piece: Piece, counts: Array, since: float) -> None:
        """Record spikes and potentials, and count the spikes of every step."""
        put = self.writer.extend
        which = np.minimum((piece.time / self.section.step + 1e-9).astype(int), len(counts) - 1)
        np.add.at(counts, (which, piece.neuron), 1)
        if self.section.spikes:
            put("spikes/time", piece.time + since)
            put("spikes/neuron", piece.neuron)
        if len(self.traced):
            put("potentials/time", piece.ticks + since)
            put("potentials/soma", piece.potentials["U"].astype("f4"))
            put("potentials/dendrite", piece.potentials["V_star"].astype("f4"))

    def _record(self, drive: Drive, labels: Array, lived: Lived, counts: Array, start: int) -> None:
        steps, put = len(counts), self.writer.extend
        stop = start + steps
        expected = lived.expected.astype("f4")
        for i in range(len(self.cortex.sizes)):
            cells = self.cortex.layer(i)
            put(f"counts/layer{i}", counts[:, cells])
            put(f"counts/layer{i}_expected", expected[:, cells])
        put("counts/step", np.arange(start, stop))
        levels = lived.level.reshape(steps, -1)
        here, specs = "neuromodulators", [self.plan.schedule(s) for s in range(start, stop)]
        put(f"{here}/step", np.arange(start, stop))
        put(f"{here}/phase", np.array([PHASE_CODES[s.phase] for s in specs], "u1"))
        put(f"{here}/label", labels.astype("i4"))
        put(f"{here}/ach", levels.mean(1).astype("f4"))
        put(f"{here}/ach_spread", levels.std(1).astype("f4"))
        put(f"{here}/release", lived.delta.reshape(steps, -1).mean(1).astype("f4"))
        put(f"{here}/gate", drive.gates["feedforward"].astype("f4"))
        seen = Window(counts, expected, levels.mean(1), labels)
        rows: dict[Phase, list[int]] = {WAKE: [], REM: [], NREM: []}
        for row, spec in enumerate(specs):
            rows[spec.phase].append(row)
            if spec.last:
                self._look_back(seen, rows)
            self.step_lived(spec)
        self._look_back(seen, rows)

    def _look_back(self, seen: Window, rows: dict[Phase, list[int]]) -> None:
        """Move the windows on over the steps gathered in ``rows``, which are then forgotten."""
        most = self.section.window_steps
        self.wake = self.wake.then(seen.at(rows[WAKE]), most)
        self.rem = self.rem.then(seen.at(rows[REM]), most)
        for gathered in rows.values():
            gathered.clear()

    def values(self, measure: str, step: int) -> Iterator[Value]:
        """Yield the values of one measure of spikes."""
        subject = SpikeSubject(
            self.wake,
            self.rem,
            [self.cortex.layer(i) for i in range(len(self.cortex.sizes))],
            self.seconds,
            self.targets,
            self.memory,
            lambda: self.cortex.weights("feedforward", 1, self._seen.get(step)),
            stream_key(self.place.animal, measure_stream(measure), step),
        )
        return iter(function(measure, CORTEX)(subject))

    def weights(self, step: int) -> Arrays:
        """Return F and G, (post, pre)."""
        found, seen = {}, self._seen.get(step)
        for i in range(len(self.cortex.pairs)):
            found[f"feedforward_into{i + 1}"] = self.cortex.weights("feedforward", i + 1, seen)
            found[f"feedback_into{i}"] = self.cortex.weights("feedback", i, seen)
        return found

    def _finite(self, step: int) -> None:
        for name in ("feedforward", "feedback", "readout"):
            if not self.cortex.finite(name):
                raise NeuroAWSError(
                    f"{name} weights are no longer finite at step {step}",
                    where=f"animal {self.place.animal}, {self.place.segment}",
                    next_step="Lower spiking.learning's rate of it; what was recorded is kept",
                )

    def state(self) -> Arrays:
        """Return the cortex's state and the windows that measures look back on."""
        windows = {
            f"{name}.{key}": getattr(window, key)
            for name, window in (("window_wake", self.wake), ("window_rem", self.rem))
            for key in SEEN
        }
        return {**self.cortex.state(), **windows}

    def restore(self, arrays: Arrays) -> None:
        """Take up what ``state`` returned."""
        own = {k: v for k, v in arrays.items() if not k.startswith("window_")}
        self.cortex.load(own)
        self.wake, self.rem = (
            Window(*(arrays[f"{name}.{key}"] for key in SEEN))
            for name in ("window_wake", "window_rem")
        )
