"""The spiking cortex as Brian2 objects: one group of neurons, one set of synapses a projection."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from neuro_aws.backends.spiking import equations
from neuro_aws.backends.spiking.blocks import GATES, STREAM, BlockResult, Drive, Follower
from neuro_aws.backends.spiking.brian2_compat import (
    Array,
    State,
    brian2,
    now,
    put_back,
    state_of,
    writes_programs,
)
from neuro_aws.backends.spiking.kernels import UNMASKED, Neuron, potential_at
from neuro_aws.backends.spiking.monitors import Monitors
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.rng import SPIKING_INITIAL, numpy_generator

KEPT = {
    "cortex": [
        *("A_f", "B_f", "A_d", "B_d", "A_p", "B_p", "trace", "U", "V_star", "rest"),
        *("bias", "bias_dendrite", "s_d", "s_f", "score_d", "score_f"),
        *("fired", "received", "delta"),
    ],
    "feedforward": ["w", "eligibility"],
    "feedback": ["w"],
    "features": ["mean", "variance", "f_mean"],
    "readout": ["r"],
    "ach": ["level", "power", "baseline", "delta"],
}
"""The variables that make up the state, by object."""


class Cortex:
    """Layers of two-compartment neurons, and acetylcholine that reads their spikes."""

    def __init__(self, spec: ProtocolSpec, animal: int, traced: Array | None = None) -> None:
        self.b2 = brian2()
        self.spec, self.section, self.neuron = spec, spec.spiking, Neuron()
        self.sizes = spec.network.layers
        self.starts = np.cumsum([0, *self.sizes])
        self.count = int(self.starts[-1])
        self.pairs = list(itertools.pairwise(self.sizes))
        clocks = self._clocks()
        self._clock, self._interval = clocks[:2]
        self._build(numpy_generator(animal, SPIKING_INITIAL))
        self.monitors = Monitors(self.objects, self.section, traced, *clocks[1:])
        self.network = self.b2.Network(*self.objects.values(), *self.monitors.objects.values())
        self._first_time_step()

    def layer(self, index: int) -> slice:
        """Return the indices of a layer's neurons."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def weights(self, projection: str, index: int, seen: State | None = None) -> Array:
        """Return weights as (post, pre): feedforward into ``index`` or feedback into it.

        Those of now, or ``seen``: what ``BlockResult.weights`` has of an earlier moment.
        """
        w = np.asarray(self.objects[projection].w[:]) if seen is None else seen[projection]
        below = index - 1 if projection == "feedforward" else index
        first = sum(a * b for a, b in self.pairs[:below])
        a, b = self.pairs[below]
        block = w[first : first + a * b].reshape(a, b)  # (lower, upper)
        return block.T.copy() if projection == "feedforward" else block.copy()

    def assign(self, projection: str, index: int, values: Array) -> None:
        """Write weights given as (post, pre): the reverse of ``weights``."""
        below = index - 1 if projection == "feedforward" else index
        first = sum(a * b for a, b in self.pairs[:below])
        a, b = self.pairs[below]
        block = values.T if projection == "feedforward" else values  # (lower, upper)
        self.objects[projection].w[first : first + a * b] = np.ascontiguousarray(block).ravel()

    def _clocks(self) -> list[dict[str, Any]]:
        """Return a clock of every kind, by the keyword it is given with.

        Objects share them: Brian2 checks every clock at every time step.
        """
        s = self.section
        return [
            {"clock": self.b2.Clock(dt * self.b2.ms, name=f"{name}_clock")}
            for name, dt in (("fine", s.dt), ("update", s.tick), ("step", s.step), ("late", STREAM))
        ]

    def _build(self, draws: np.random.Generator) -> None:
        b2, clock = self.b2, self._clock
        self.objects: dict[str, Any] = {}
        ach = b2.NeuronGroup(1, equations.ACH, name="ach", **clock)
        cells = b2.NeuronGroup(
            self.count, equations.MODEL, threshold=equations.THRESHOLD, reset=equations.RESET,
            name="cortex", **clock,
        )  # fmt: skip
        cells.release = b2.linked_var(ach, "delta")
        number = np.arange(self.count)
        hidden = (number >= self.starts[1]).astype(float)
        cells.hidden = hidden
        cells.top = (number >= self.starts[-2]).astype(float)
        rest = float(self._resting(np.array(self.section.target_rate)))
        cells.bias = rest * hidden
        cells.bias_dendrite = rest / self.neuron.prediction
        cells.U = rest
        self.objects |= {"ach": ach, "cortex": cells}
        self._connect(cells, draws)
        self._read(cells, ach, draws)
        self._updates()

    def potential_of(self, rate: Array) -> Array:
        """Return the drive that makes a cell fire at a rate (Hz), by the steady state of U."""
        n = self.neuron
        return np.asarray(self._resting(rate) * (n.leak + n.teacher) / n.teacher)

    def _resting(self, rate: Array) -> Array:
        """Return the resting potential of a cell that fires at a rate (Hz), 0.5 at least."""
        return potential_at(self.neuron, np.maximum(rate, 0.5), self.section.dt)

    def _connect(self, cells: Any, draws: np.random.Generator) -> None:
        lower, upper, weights = [], [], []
        for i, (a, b) in enumerate(self.pairs):
            below = np.repeat(np.arange(a) + self.starts[i], b)
            lower.append(below)
            upper.append(np.tile(np.arange(b) + self.starts[i + 1], a))
            scale = self.section.feedforward_at_birth / np.sqrt(a)
            weights.append(draws.standard_normal(a * b) * scale)
        low, high = np.concatenate(lower), np.concatenate(upper)
        for name, model, spike, pre, post in (
            ("feedforward", equations.FEEDFORWARD, equations.FEEDFORWARD_SPIKE, low, high),
            ("feedback", equations.FEEDBACK, equations.FEEDBACK_SPIKE, high, low),
        ):
            synapses = self.b2.Synapses(cells, cells, model, on_pre=spike, name=name, **self._clock)
            synapses.connect(i=pre, j=post)
            self.objects[name] = synapses
        self.objects["feedforward"].w = np.concatenate(weights)

    def _read(self, cells: Any, ach: Any, draws: np.random.Generator) -> None:
        each = self.section.ach_units
        features = self.b2.NeuronGroup(
            each * len(self.pairs), equations.FEATURES, name="features", **self._clock
        )
        features.bend = draws.uniform(-1, 1, each * len(self.pairs))
        features.variance = 1.0
        reads = self.b2.Synapses(cells, features, "w : 1 (constant)", name="reads", **self._clock)
        pre, post, weights = [], [], []
        for i, (a, b) in enumerate(self.pairs):
            both = np.arange(self.starts[i], self.starts[i + 2])
            scale = np.concatenate([np.full(a, a**-0.5), np.full(b, b**-0.5)])
            pre.append(np.tile(both, each))
            post.append(np.repeat(np.arange(each) + i * each, a + b))
            weights.append(draws.standard_normal(each * (a + b)) * np.tile(scale, each))
        reads.connect(i=np.concatenate(pre), j=np.concatenate(post))
        reads.w = np.concatenate(weights)
        readout = self.b2.Synapses(features, ach, "r : 1", name="readout", **self._clock)
        readout.connect()
        self.objects |= {"features": features, "reads": reads, "readout": readout}

    def _updates(self) -> None:
        """Schedule what happens at every time step, and the order of what each update does."""
        o, e = self.objects, equations
        o["cortex"].run_regularly(e.STEP, name="step", **self._clock)
        at_end = {**self._interval, "when": "end"}
        order = (
            ("reads", e.READ), ("features", e.FEATURES_UPDATE),
            ("readout", e.ACH_COLLECT), ("ach", e.ACH_UPDATE), ("cortex", e.RECEIVE),
            ("readout", e.ACH_LEARN), ("feedforward", e.FEEDFORWARD_UPDATE),
            ("feedback", e.FEEDBACK_UPDATE), ("cortex", e.CORTEX_UPDATE),
        )  # fmt: skip
        for k, (name, code) in enumerate(order):
            o[name].run_regularly(code, name=f"update_{k}", order=k, **at_end)

    def _first_time_step(self) -> None:
        """Simulate one empty time step, then restore the initial state.

        Brian2's clocks fall on 0, 5, 10 ms. A run that begins one time step late has its updates,
        and the ends of its steps, at the end of the time that they sum up.
        """
        initial = None if writes_programs() else self.state()
        nothing = np.zeros(1)
        drive = Drive(
            nothing, np.zeros((1, self.count)), np.zeros((1, self.count)),
            dict.fromkeys(GATES, nothing), nothing,
        )  # fmt: skip
        rows = self.section.segment_steps
        namespace = self.constants() | self.tables(drive, rows) | {"first_step": 0}
        monitors = list(self.monitors.objects.values())
        for monitor in monitors:
            monitor.active = False
        self.network.run(self.section.dt * self.b2.ms, namespace=namespace)
        for monitor in monitors:
            monitor.active = True
        if initial is not None:
            self.load(initial)

    def constants(self) -> dict[str, Any]:
        """Return every number the equations name, in ms and units of 15 mV."""
        n, s, h = self.neuron, self.section, self.section.dt
        rates = s.learning
        return {
            "h": h, "tiny": 1e-12, "decay_l": np.exp(-h / n.tau_l), "decay_s": np.exp(-h / n.tau_s),
            "decay_trace": np.exp(-h / s.ach_trace), "psp_scale": n.psp_scale, "leak": n.leak,
            "coupling": n.coupling, "coupling_awake": s.coupling_awake, "teacher": n.teacher,
            "rate_most": n.rate_most, "k": n.k, "beta": n.beta, "theta": n.theta,
            "prediction": n.prediction, "refractory": n.refractory,
            "unmasked": UNMASKED[s.refractory_error],
            "decay_eligibility": np.exp(-s.tick / s.eligibility),
            "rate_slow": 1 - np.exp(-s.tick / (1000 * s.ach_centre)),
            "rate_fast": 1 - np.exp(-s.tick / s.ach_baseline),
            "target_per_interval": s.target_rate * s.tick / 1000,
            "eta_f": rates.feedforward, "eta_b": rates.feedback, "eta_c": rates.dendrite_bias,
            "eta_h": rates.homeostasis, "eta_a": rates.ach,
        }  # fmt: skip

    def simulate(
        self,
        drive: Drive,
        seed: int,
        rows: int | None = None,
        follower: Follower | None = None,
        built: Callable[[], None] | None = None,
    ) -> BlockResult:
        """Simulate one block; its tables are filled up to ``rows`` steps, so that code is reused.

        ``follower`` receives what happens meanwhile; ``built`` makes and runs the program, where
        Brian2 writes one (standalone), and nothing can be followed.
        """
        b2, steps = self.b2, len(drive.wake)
        b2.seed(seed % 2**32)
        start = now(self.network)
        self.monitors.begin(start, follower)
        first = {"first_step": round(start / self.section.dt)}  # of the cells' clock
        namespace = self.constants() | self.tables(drive, rows or steps) | first
        self.network.run(steps * self.section.step * b2.ms, namespace=namespace)
        if built is not None:
            built()
        return self.monitors.end(alone=built is not None)

    def finite(self, name: str) -> bool:
        """Say whether the weights of some synapses are numbers."""
        synapses = self.objects[name]
        return bool(np.isfinite(synapses.r[:] if name == "readout" else synapses.w[:]).all())

    def tables(self, drive: Drive, rows: int) -> dict[str, Any]:
        """Return the segment's tables over time, by the names the equations use."""
        step = self.section.step * self.b2.ms
        held = ~np.isnan(drive.clamp)
        arrays = {
            "wake_t": drive.wake, "drive_t": drive.potential, "gain_t": drive.gain,
            "gate_f_t": drive.gates["feedforward"], "gate_b_t": drive.gates["feedback"],
            "gate_a_t": drive.gates["ach"], "gate_h_t": drive.gates["homeostasis"],
            "clamp_on_t": held, "clamp_t": np.where(held, drive.clamp, 0.0),
        }  # fmt: skip
        found = {}
        for name, values in arrays.items():
            whole = np.ascontiguousarray(values, float)
            missing = rows - len(whole)
            if missing > 0:
                whole = np.concatenate([whole, np.repeat(whole[-1:], missing, axis=0)])
            found[name] = self.b2.TimedArray(whole, dt=step, name=name)
        return found

    def state(self) -> State:
        """Return every variable that simulating changes, by object.variable."""
        return state_of(self.objects, KEPT)

    def load(self, state: State) -> None:
        """Take up a state."""
        put_back(self.objects, KEPT, state)
