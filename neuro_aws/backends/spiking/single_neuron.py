"""The single neuron as a simulator, and how well its dendrite predicts its soma."""

from collections.abc import Callable, Iterator

import numpy as np

from neuro_aws.backends.base import Array, Observed, State
from neuro_aws.backends.spiking.block_simulator import BlockSimulator
from neuro_aws.backends.spiking.brian2_compat import now, ran
from neuro_aws.backends.spiking.neuron import SingleNeuron
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.spikes import correlation
from neuro_aws.metrics.subject import Value, ratio
from neuro_aws.phase import FEEDBACK, REM, WAKE, Phase
from neuro_aws.protocol.agenda import Moment
from neuro_aws.protocol.measure import Measure
from neuro_aws.recording.writer import Writer

Potentials = dict[str, Array]
"""``soma`` and ``dendrite`` over the last patterns: (patterns, time steps)."""


class NeuronSimulator(BlockSimulator):
    """Wake: the teacher is on and the dendrite learns. REM: it is off. A step is one pattern."""

    def build(self) -> None:
        """Make the neuron, and empty windows to look back on."""
        self.neuron = SingleNeuron(self.spec, self.animal)
        self.fine = round(self.section.step / self.section.dt)
        empty = np.zeros((0, self.fine))
        self.on: Potentials = {"soma": empty, "dendrite": empty}
        self.off: Potentials = {"soma": empty, "dendrite": empty}
        self._past: tuple[int, Potentials, list[Phase], Potentials, Potentials] | None = None
        self._seen: dict[int, Array] = {}

    def block(
        self,
        start: int,
        stop: int,
        seed: int,
        due: frozenset[int],
        out: Writer,
        should_stop: Callable[[], bool],
    ) -> bool:
        """Simulate one block."""
        specs = [self.plan.schedule(s) for s in range(start, stop)]
        awake = np.array([float(s.phase is WAKE) for s in specs])
        scales = [self.plan.schedule.stretches[s.period].scales[FEEDBACK] for s in specs]
        begun = now(self.neuron.network)
        eta = awake * np.array(scales) * self.section.learning.feedback
        rows = frozenset(step - start for step in due)
        result = self.neuron.simulate(awake, eta, seed, self.section.segment_steps, rows)
        steps, since = stop - start, start * self.section.step
        if not ran(self.neuron.network, begun, steps * self.section.step):
            return False
        self._seen = {start + row: weights for row, weights in result.weights.items()}
        put = out.extend
        put("spikes/time", result.spikes + since)
        put("spikes/neuron", np.zeros(len(result.spikes), "i4"))
        put("potentials/time", since + self.section.dt * np.arange(steps * self.fine))
        put("potentials/soma", result.soma.astype("f4"))
        put("potentials/dendrite", result.dendrite.astype("f4"))
        put("potentials/teacher", self.neuron.matching(steps).astype("f4"))
        put("potentials/taught", np.repeat(awake, self.fine).astype("u1"))
        for spec in specs:
            self.intervals(spec, out)
        rows_of = {
            "soma": result.soma.reshape(steps, -1),
            "dendrite": result.dendrite.reshape(steps, -1),
        }
        self._past = (start, rows_of, [s.phase for s in specs], self.on, self.off)
        self.on, self.off = self._windows(stop)
        last = np.abs(rows_of["soma"][-1] - rows_of["dendrite"][-1]).mean()
        self._status = f"U - V* {last:.2f}"
        return True

    def _windows(self, step: int) -> tuple[Potentials, Potentials]:
        """Return the last patterns with the teacher on, and off, as of ``step`` steps."""
        if self._past is None or step < self._past[0]:
            return self.on, self.off
        start, rows, phases, on, off = self._past
        before, most = phases[: step - start], self.section.window_steps

        def moved(window: Potentials, phase: Phase) -> Potentials:
            mine = [r for r, p in enumerate(before) if p is phase]
            return {k: np.concatenate([window[k], rows[k][mine]])[-most:] for k in window}

        return moved(on, WAKE), moved(off, REM)

    def values(self, what: Measure | str, at: Moment) -> Iterator[Value]:
        """Compare the dendrite's prediction with the soma, over the last waking patterns.

        ``match``: correlation of V* and U with the teacher on; ``match_teacher_off``: of the soma
        alone in REM with the mean soma of those waking patterns; ``match_error``: mean squared
        difference of V* and U (units of 15 mV, squared), and relative to the first measured.
        """
        on, off = self._windows(at.step)
        soma, dendrite = on["soma"], on["dendrite"]
        if len(soma):
            yield Value("match", correlation(soma.ravel(), dendrite.ravel()), 0)
            error = float(np.square(soma - dendrite).mean())
            first = self.memory.setdefault("first/error", np.array(error))
            yield Value("match_error", error, 0)
            yield Value("match_error_relative", ratio(error, float(first)), 0)
        if len(soma) and len(off["soma"]):
            alone = off["soma"]
            wanted = np.broadcast_to(soma.mean(0), alone.shape)
            yield Value("match_teacher_off", correlation(alone.ravel(), wanted.ravel()), 0)

    def weights(self, step: int) -> State:
        """Return the afferents' weights."""
        seen = self._seen.get(step)
        return {
            "feedback_into0": (self.neuron.weights() if seen is None else seen)[None].astype("f4")
        }

    def observed(self, what: str, layer: int | None, samples: bool) -> Observed:
        """Return ``soma`` (U) or ``dendrite`` (V*) of the last block: (step, time step)."""
        if self._past is None:
            raise NeuroAWSError("nothing has been simulated yet", next_step="Call step() first")
        rows = self._past[1]
        if what not in rows:
            known = ", ".join(rows)
            raise NeuroAWSError(f"no signal {what!r}", next_step=f"Signals: {known}")
        return Observed(rows[what], ("step", "time"), "15 mV")

    def read(self, name: str) -> Array:
        """Return a copy of the afferents' weights, (1, afferents)."""
        return self.neuron.weights()[None]

    def assign(self, name: str, values: Array) -> None:
        """Write the afferents' weights, (1, afferents)."""
        self.neuron.objects["synapses"].w[:] = values.ravel()
        self._seen = {}

    def arrays(self) -> State:
        """Return the neuron's state and the patterns that measures look back on."""
        on = {f"window_on.{k}": v for k, v in self.on.items()}
        off = {f"window_off.{k}": v for k, v in self.off.items()}
        return {**self.neuron.state(), **on, **off}

    def restore(self, state: State) -> None:
        """Take up what ``arrays`` returned."""
        self.neuron.load({k: v for k, v in state.items() if not k.startswith("window_")})
        self.on = {k: state[f"window_on.{k}"] for k in self.on}
        self.off = {k: state[f"window_off.{k}"] for k in self.off}
        self._past, self._seen = None, {}
