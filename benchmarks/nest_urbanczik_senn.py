"""The dendrite's rule against NEST's urbanczik_synapse: weight changes for the same spikes.

    pip install nest-simulator                    # 3.10; not among the requirements
    python benchmarks/nest_urbanczik_senn.py      # 5 animals, 20 s
    python benchmarks/nest_urbanczik_senn.py --seeds 2 --seconds 0.4 --learning 40 --dt 0.2

Same spikes: NEST's pp_cond_exp_mc_urbanczik receives an animal's frozen pattern at its dendrite
and the teacher's conductances at its soma. Our neuron (``SingleNeuron``, its own equations)
receives the same pattern, and the spikes that NEST's soma fired in place of its own. Rates of
learning are so small that weights, and with them V*, stay the same in both. Compared are the
changes of the weights of all afferents that fire: Pearson's correlation, and the slope of ours on
NEST's. The third row is the second divided by g_D / (g_L + g_D), the derivative of V* by V, which
NEST's rule is without.

Learning: each neuron learns from its own spikes, at the rate of NEST's example. Compared are V*
and U over the last ten patterns: correlation, root mean square and mean of V* - U (in 15 mV).

Mean [smallest, largest] over animals. NEST's rule takes a PSP two time steps earlier than NEST's
dendrite receives it, and phi dt for 1 - exp(-phi dt): the rules come apart as the time step grows.
"""

import argparse
import contextlib
import importlib
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from neuro_aws.backends.spiking.brian2_compat import brian2, chosen_target
from neuro_aws.backends.spiking.kernels import Neuron
from neuro_aws.backends.spiking.neuron import (
    INITIAL_WEIGHT,
    LARGEST_WEIGHT,
    LOWPASS,
    TEACHER_INHIBITION,
    SingleNeuron,
    frozen_pattern,
)
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.stimuli_built_in import SpikePattern

Array = NDArray[Any]
TEXT = """
schema_version: 3
name: nest
backend: spiking
stimulus: {{source: spike_pattern, afferents: 200, rate: 10, period: 200}}
network: {{layers: [1, 200]}}
algorithm: {{name: adversarial_wake_sleep, credit: scalar}}
spiking: {{step: 200, dt: {dt}, target: {target}, refractory_error: {error}}}
schedule: [{{name: learning, cycles: 1, phases: [{{wake: 1}}]}}]
"""
ETA, TINY = 3e-4, 1e-6
"""NEST's example learns at ETA; where weights are to stay the same, at TINY of that."""

NEST_UNITS = 15.0**2
"""NEST multiplies a rate of learning by 15 mV twice: in PI, and in phi' / phi."""

LATE = 3
"""Time steps from a spike of our afferent to that of NEST's with the same PSP: the generator starts
one step late, and two connections take one each."""

LAST = 10
"""Patterns over which V* and U are compared."""


class Run(NamedTuple):
    """What one neuron did: changes of its weights, U and V* by time step, spikes (time steps)."""

    change: Array
    soma: Array
    dendrite: Array
    spikes: Array


def nest_module() -> Any:
    """Return NEST, silent, or end with one line."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            nest: Any = importlib.import_module("nest")
    except ImportError:
        sys.exit("NEST is not installed: pip install nest-simulator, then call this again")
    nest.verbosity = nest.VerbosityLevel.ERROR
    return nest


def protocol(dt: float, target: str, error: str) -> ProtocolSpec:
    """Return the protocol of our neuron."""
    return Protocol.from_text(TEXT.format(dt=dt, target=target, error=error)).spec


def nest_neuron(nest: Any) -> Any:
    """Return NEST's neuron with our parameters, dimensionless as in the paper."""
    n = Neuron()
    compartment = {"V_m": 0.0, "C_m": 1.0, "E_L": 0.0, "g_L": n.leak,
                   "tau_syn_ex": n.tau_s, "tau_syn_in": n.tau_s}  # fmt: skip
    teacher = {"E_ex": n.excitatory, "E_in": n.inhibitory}
    parameters = {
        "t_ref": n.refractory, "g_sp": n.coupling, "soma": compartment | teacher,
        "dendritic": compartment, "phi_max": n.rate_most, "rate_slope": n.k, "beta": n.beta,
        "theta": n.theta,
    }  # fmt: skip
    return nest.Create("pp_cond_exp_mc_urbanczik", params=parameters)


def in_nest(nest: Any, spec: ProtocolSpec, animal: int, patterns: int, eta: float) -> Run:
    """Run NEST's neuron; its time steps are counted as ours."""
    h = spec.spiking.dt
    steps = round(patterns * spec.spiking.step / h)
    nest.ResetKernel()
    nest.resolution, nest.rng_seed = h, 1 + animal
    neuron = nest_neuron(nest)
    synapses = connect_pattern(nest, neuron, spec, animal, patterns, eta)
    connect_teacher(nest, neuron, SingleNeuron(spec, animal).teacher(patterns), h)
    fired, read = nest.Create("spike_recorder"), nest.Create("multimeter")
    read.set({"record_from": ["V_m.s", "V_m.p"], "interval": h})
    nest.Connect(neuron, fired, syn_spec={"delay": h})
    nest.Connect(read, neuron, syn_spec={"delay": h})
    nest.Simulate((steps + 2 * LATE) * h)
    change = np.array(synapses.weight)[np.argsort(synapses.source)] - INITIAL_WEIGHT
    spikes, at = (
        np.rint(np.array(device.events["times"]) / h).astype(int) - LATE for device in (fired, read)
    )
    inside = (at >= 0) & (at < steps)
    soma, dendrite = (np.array(read.events[name])[inside] for name in ("V_m.s", "V_m.p"))
    spikes = spikes[(spikes >= 0) & (spikes < steps)]
    return Run(change, soma, Neuron().prediction * dendrite, spikes)


def connect_pattern(
    nest: Any, neuron: Any, spec: ProtocolSpec, animal: int, patterns: int, eta: float
) -> Any:
    """Connect an animal's pattern to the dendrite, again and again; return the synapses.

    Each afferent fires once more at the end: NEST's synapses are updated by presynaptic spikes.
    """
    assert isinstance(spec.stimulus, SpikePattern)
    h, afferents = spec.spiking.dt, spec.stimulus.afferents
    each = round(spec.stimulus.period / h)
    cell, when = frozen_pattern(spec.stimulus, animal, h)
    begins = np.arange(patterns)[:, None] * each
    trains = [
        np.append((begins + when[cell == j]).ravel() + 1, patterns * each + LATE - 1)
        for j in range(afferents)
    ]
    generators = nest.Create(
        "spike_generator", afferents, params=[{"spike_times": on_grid(t, h)} for t in trains]
    )
    parrots = nest.Create("parrot_neuron", afferents)
    nest.Connect(generators, parrots, "one_to_one", {"delay": h})
    port = nest.GetDefaults("pp_cond_exp_mc_urbanczik", "receptor_types")["dendritic_exc"]
    plastic = {
        "synapse_model": "urbanczik_synapse", "receptor_type": port, "delay": h,
        "weight": INITIAL_WEIGHT, "Wmax": LARGEST_WEIGHT, "tau_Delta": LOWPASS,
        "eta": eta / NEST_UNITS,
    }  # fmt: skip
    nest.Connect(parrots, neuron, "all_to_all", plastic)
    return nest.GetConnections(parrots, neuron)


def connect_teacher(nest: Any, neuron: Any, excitation: Array, h: float) -> None:
    """Drive the soma with the teacher's conductances, one spike a time step."""
    ports = nest.GetDefaults("pp_cond_exp_mc_urbanczik", "receptor_types")
    inhibition = np.full(len(excitation), TEACHER_INHIBITION)
    for name, conductance in (("soma_exc", excitation), ("soma_inh", inhibition)):
        kept = conductance * -np.expm1(-h / Neuron().tau_s)  # a step's share of an exponential
        times = {"spike_times": on_grid(np.arange(len(kept)) + 1, h), "spike_weights": kept}
        teacher = nest.Create("spike_generator", params=times)
        nest.Connect(teacher, neuron, syn_spec={"receptor_type": ports[name], "delay": h})


def on_grid(steps: Array, h: float) -> Array:
    """Return time steps as ms, on the very multiples of h that NEST asks for."""
    return np.round(steps * h, 6)


def ours(
    spec: ProtocolSpec, animal: int, patterns: int, eta: float, spikes: Array | None = None
) -> Run:
    """Run our neuron, with the spikes of its soma given, or its own."""
    b2, h = brian2(), spec.spiking.dt
    chosen_target(spec.spiking.target)
    neuron = SingleNeuron(spec, animal)
    if spikes is not None:
        soma, steps = neuron.objects["soma"], round(patterns * spec.spiking.step / h)
        given = np.zeros(steps)
        given[spikes] = 1.0
        soma.namespace["given_t"] = b2.TimedArray(given, dt=h * b2.ms, name="given_t")
        soma.run_regularly(  # after the step of the soma, whose own p it overwrites
            "p = given_t(t_in_timesteps * dt)", name="given", order=1, dt=h * b2.ms
        )
    awake = np.ones(patterns)
    result = neuron.simulate(awake, eta * awake, animal, patterns)
    fired = np.rint(result.spikes / h).astype(int)
    assert spikes is None or np.array_equal(fired, spikes)
    return Run(neuron.weights() - INITIAL_WEIGHT, result.soma, result.dendrite, fired)


def firing(spec: ProtocolSpec, animal: int) -> Array:
    """Return which afferents fire in an animal's pattern."""
    assert isinstance(spec.stimulus, SpikePattern)
    cell, _ = frozen_pattern(spec.stimulus, animal, spec.spiking.dt)
    return np.unique(cell)


def same_spikes(nest: Any, arguments: argparse.Namespace) -> None:
    """Print correlation and slope of our weight changes on NEST's, by rule."""
    patterns = round(arguments.seconds / 0.2)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for animal in range(arguments.seeds):
        spec = protocol(arguments.dt, arguments.target, "nest")
        theirs = in_nest(nest, spec, animal, patterns, ETA * TINY)
        for error in ("masked", "nest"):
            spec = protocol(arguments.dt, arguments.target, error)
            mine = ours(spec, animal, patterns, ETA * TINY, theirs.spikes)
            x, y = (each.change[firing(spec, animal)] for each in (theirs, mine))
            apart = float(np.abs(theirs.dendrite - mine.dendrite).max())
            r, slope = float(np.corrcoef(x, y)[0, 1]), float(np.polyfit(x, y, 1)[0])
            found.setdefault(error, []).append((r, slope, apart))
            if error == "nest":
                bare = "nest, without g_D / (g_L + g_D)"
                found.setdefault(bare, []).append((r, slope / Neuron().prediction, apart))
    print(
        f"same spikes, {arguments.seconds:g} s, dt {arguments.dt:g} ms, {arguments.seeds} animals: "
        f"V* apart by {max(row[2] for rows in found.values() for row in rows):.0e} at most"
    )
    print("refractory_error | correlation | slope on NEST's")
    for name, rows in found.items():
        rs, slopes, _ = zip(*rows, strict=True)
        print(f"{name} | {spread(rs, 5)} | {spread(slopes, 3)}")


def learning(nest: Any, arguments: argparse.Namespace) -> None:
    """Print how well V* predicts U after learning, in NEST and in ours, each by its own spikes."""
    patterns = round(arguments.learning / 0.2)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for animal in range(arguments.seeds):
        for name in ("NEST", "ours, nest", "ours, masked"):
            error = "nest" if name == "NEST" else name.split()[-1]
            spec = protocol(arguments.dt, arguments.target, error)
            if name == "NEST":
                done = in_nest(nest, spec, animal, patterns, ETA)
            else:
                done = ours(spec, animal, patterns, ETA)
            last = round(LAST * spec.spiking.step / spec.spiking.dt)
            soma, dendrite = done.soma[-last:], done.dendrite[-last:]
            off = dendrite - soma
            r = float(np.corrcoef(soma, dendrite)[0, 1])
            row = (r, float(np.sqrt(np.square(off).mean())), float(off.mean()))
            found.setdefault(name, []).append(row)
    print(f"\nlearning for {arguments.learning:g} s, dt {arguments.dt:g} ms")
    print("rule | corr(V*, U) | rms of V* - U | mean of V* - U")
    for name, rows in found.items():
        print(" | ".join([name, *(spread(column, 3) for column in zip(*rows, strict=True))]))


def spread(values: Iterable[float], digits: int) -> str:
    """Return mean [smallest, largest]."""
    each = np.array(list(values))
    return f"{each.mean():.{digits}f} [{each.min():.{digits}f}, {each.max():.{digits}f}]"


def main() -> None:
    """Compare the rule for the same spikes, then what it learns."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the same spikes")
    parser.add_argument("--learning", type=float, default=0.0, help="seconds of it")
    parser.add_argument("--dt", type=float, default=0.1, help="time step of both, ms")
    parser.add_argument("--target", choices=("cython", "numpy"), default="cython", help="of Brian2")
    arguments = parser.parse_args()
    nest = nest_module()
    same_spikes(nest, arguments)
    if arguments.learning:
        learning(nest, arguments)


if __name__ == "__main__":
    main()
