"""The single neuron of Urbanczik & Senn (2014): a dendrite learns to predict its soma.

Afferents fire a frozen pattern; a teacher drives the soma with conductances. In wake the teacher is
on, in REM it is off and the dendrite drives the soma. Every time step h (ms), in order:

    V      = sum_j w_j PSP_j           V* = g_D / (g_L + g_D) V
    U     <- U_inf + (U - U_inf) e^{-g h}     g = g_L + g_D + g_E + g_I,
             U_inf = (g_D V + g_E E_E + g_I E_I) / g
    spike    with probability 1 - exp(-phi(U) h), unless refractory; no reset of U or V*
    PI_j   = (S - p* m) k phi'(V*) h / p* PSP_j,  p* = 1 - exp(-phi(V*) h), k = g_D / (g_L + g_D),
             m = 1; while refractory 0 (`refractory_error: masked`) or 1 (`nest`)
    D_j   <- D_j e^{-h / 100 ms} + (1 - e^{-h / 100 ms}) PI_j
    w_j   <- w_j + eta D_j, held in [0, 0.3], in wake; PSP_j as it is at the end of the step

Dimensionless (1 unit = 15 mV); parameters: ``Neuron``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro_aws.backends.spiking.brian2_compat import (
    Array,
    State,
    brian2,
    emptied,
    now,
    put_back,
    state_of,
)
from neuro_aws.backends.spiking.kernels import UNMASKED, Neuron
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.stimuli_built_in import SpikePattern
from neuro_aws.rng import SPIKING_PATTERN, numpy_generator

TEACHER_SIZE, TEACHER_MEAN, TEACHER_INHIBITION = 0.48, 0.54, 1.8
"""g_E = 0.48 sin(...) + 0.54 and g_I (1/ms), as in NEST's example."""

SINES = 2
"""Periods of the teacher's sine in one pattern."""

LOWPASS = 100.0
"""Of the weight changes, ms."""

INITIAL_WEIGHT, LARGEST_WEIGHT = 0.02, 0.3

SOMA = """
A_d : 1
B_d : 1
U : 1
V_star : 1
rest : 1
p : 1
slope_d : 1
p_d : 1
score : 1
"""
SOMA_STEP = """
here = (t_in_timesteps - first_step) * dt
A_d = A_d * decay_l
B_d = B_d * decay_s
V = psp_scale * (A_d - B_d)
V_star = prediction * V
g_e = excitation_t(here)
g_i = inhibition_t(here)
g = leak + coupling + g_e + g_i
U_inf = (coupling * V + g_e * excitatory + g_i * inhibitory) / g
U = U_inf + (U - U_inf) * exp(-g * h)
rest = rest - h
free = int(rest <= 1e-9)
p = free * (1 - exp(-rate_most * h / (1 + k * exp(beta * (theta - U)))))
r_d = rate_most / (1 + k * exp(beta * (theta - V_star)))
p_d = 1 - exp(-r_d * h)
slope_d = prediction * beta * (1 - r_d / rate_most) * r_d * h / p_d
m = free + (1 - free) * unmasked
score = -p_d * m * slope_d
"""
SOMA_RESET = "rest = refractory\nscore += slope_d"
SYNAPSE = "w : 1\nchange : 1\nA_p : 1\nB_p : 1"
SYNAPSE_SPIKE = "A_d_post += w\nB_d_post += w\nA_p += 1\nB_p += 1"
SYNAPSE_STEP = """
A_p = A_p * decay_l
B_p = B_p * decay_s
change = change * decay_lowpass + (1 - decay_lowpass) * score_post * psp_scale * (A_p - B_p)
here = (t_in_timesteps - first_step) * dt
w = clip(w + rate_t(here) * change, 0, most)
"""
KEPT = {
    "soma": ["A_d", "B_d", "U", "V_star", "rest", "score"],
    "synapses": ["w", "change", "A_p", "B_p"],
}


def frozen_pattern(stimulus: SpikePattern, animal: int, h: float) -> tuple[Array, Array]:
    """Return the spikes of an animal's pattern, in order: which afferent, in which time step."""
    draws = numpy_generator(animal, SPIKING_PATTERN)
    steps = round(stimulus.period / h)
    fires = draws.random((stimulus.afferents, steps)) < stimulus.rate * h / 1000
    cell, when = np.nonzero(fires)
    order = np.argsort(when, kind="stable")
    return cell[order], when[order]


@dataclass(frozen=True)
class NeuronResult:
    """Potentials at every time step, and the spikes (ms from the block's start)."""

    soma: Array
    dendrite: Array
    spikes: Array
    weights: dict[int, Array]
    """After so many steps, where that was asked for; those at the end are the neuron's own."""


class SingleNeuron:
    """One soma, one dendrite, and the afferents of a frozen pattern."""

    def __init__(self, spec: ProtocolSpec, animal: int) -> None:
        assert isinstance(spec.stimulus, SpikePattern)
        self.b2, self.section, self.stimulus = brian2(), spec.spiking, spec.stimulus
        self.neuron = Neuron()
        b2, clock = self.b2, {"dt": self.section.dt * self.b2.ms}
        cell, when = frozen_pattern(self.stimulus, animal, self.section.dt)
        afferents = b2.SpikeGeneratorGroup(
            self.stimulus.afferents, cell, when * self.section.dt * b2.ms,
            period=self.stimulus.period * b2.ms, name="afferents", **clock,
        )  # fmt: skip
        soma = b2.NeuronGroup(
            1, SOMA, threshold="rand() < p", reset=SOMA_RESET, name="soma", **clock
        )
        synapses = b2.Synapses(
            afferents, soma, SYNAPSE, on_pre=SYNAPSE_SPIKE, name="synapses", **clock
        )
        synapses.connect()
        synapses.w = INITIAL_WEIGHT
        soma.run_regularly(SOMA_STEP, name="soma_step", **clock)
        synapses.run_regularly(SYNAPSE_STEP, name="synapse_step", when="end", **clock)
        potentials = b2.StateMonitor(
            soma, ["U", "V_star"], record=True, name="potentials", when="end", order=100, **clock
        )
        spikes = b2.SpikeMonitor(soma, name="spikes")
        look = b2.NetworkOperation(
            self._look, dt=self.section.step * b2.ms, when="start", order=-1, name="look"
        )
        self.objects: dict[str, Any] = {
            "afferents": afferents, "soma": soma, "synapses": synapses,
            "potentials": potentials, "spikes": spikes, "look": look,
        }  # fmt: skip
        self.network = b2.Network(*self.objects.values())

    def teacher(self, steps: int) -> Array:
        """Return g_E of so many steps of the schedule, one value a time step."""
        h = self.section.dt
        t = np.arange(round(steps * self.section.step / h)) * h
        angle = 2 * np.pi * SINES * t / self.stimulus.period
        return np.asarray(TEACHER_SIZE * np.sin(angle) + TEACHER_MEAN)

    def matching(self, steps: int) -> Array:
        """Return where the teacher alone would hold the soma."""
        g, i, n = self.teacher(steps), TEACHER_INHIBITION, self.neuron
        return np.asarray((g * n.excitatory + i * n.inhibitory) / (g + i))

    def weights(self) -> Array:
        """Return the afferents' weights."""
        return np.array(self.objects["synapses"].w[:])

    def _look(self, t: Any) -> None:
        row = round((float(t / self.b2.ms) - self._start) / self.section.step)
        if row in self._asked:
            self._seen[row] = self.weights()

    def simulate(
        self, awake: Array, eta: Array, seed: int, rows: int, asked: frozenset[int] = frozenset()
    ) -> NeuronResult:
        """Simulate one block: ``awake`` and ``eta`` by step; tables are filled up to ``rows``.

        ``asked``: after how many of its steps weights are to be kept.
        """
        b2, n, h = self.b2, self.neuron, self.section.dt
        b2.seed(seed % 2**32)
        start, steps = now(self.network), len(awake)
        self._start, self._asked = start, asked
        self._seen: dict[int, Array] = {}
        fine = round(self.section.step / h)
        on = np.repeat(np.pad(awake, (0, rows - steps)), fine)
        rates = np.repeat(np.pad(eta, (0, rows - steps)), fine)
        namespace = {
            "h": h, "first_step": round(start / h), "decay_l": np.exp(-h / n.tau_l),
            "decay_s": np.exp(-h / n.tau_s), "decay_lowpass": np.exp(-h / LOWPASS),
            "psp_scale": n.psp_scale, "prediction": n.prediction, "leak": n.leak,
            "coupling": n.coupling, "excitatory": n.excitatory, "inhibitory": n.inhibitory,
            "rate_most": n.rate_most, "k": n.k, "beta": n.beta, "theta": n.theta,
            "refractory": n.refractory, "unmasked": UNMASKED[self.section.refractory_error],
            "most": LARGEST_WEIGHT,
            "excitation_t": b2.TimedArray(
                self.teacher(rows) * on, dt=h * b2.ms, name="excitation_t"
            ),
            "inhibition_t": b2.TimedArray(
                TEACHER_INHIBITION * on, dt=h * b2.ms, name="inhibition_t"
            ),
            "rate_t": b2.TimedArray(rates, dt=h * b2.ms, name="rate_t"),
        }  # fmt: skip
        self.network.run(steps * self.section.step * b2.ms, namespace=namespace)
        o = self.objects
        result = NeuronResult(
            np.asarray(o["potentials"].U)[0].copy(),
            np.asarray(o["potentials"].V_star)[0].copy(),
            np.rint((np.asarray(o["spikes"].t / b2.ms) - start) / h) * h,
            self._seen,
        )
        emptied(o)
        return result

    def state(self) -> State:
        """Return every variable that simulating changes."""
        return state_of(self.objects, KEPT)

    def load(self, state: State) -> None:
        """Take up a state."""
        put_back(self.objects, KEPT, state)
