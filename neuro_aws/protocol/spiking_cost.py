"""What a step of the spiking backend costs, and how much it records."""

import itertools

from neuro_aws.protocol.machine import Machine
from neuro_aws.protocol.schema import ProtocolSpec

TIME_STEP, SYNAPSE = 8e-5, 7e-10
"""Seconds of a time step of Brian2 (cython), and of a synapse in it: benchmarks/spiking_step.py."""

ARM_BYTES = 300_000
"""Of an arm's tables and of HDF5's own."""


def step_seconds(spec: ProtocolSpec, machine: Machine) -> float:
    """Return the seconds of one step of the schedule: Brian2's calls, and the synapses' updates."""
    sizes = spec.network.layers
    synapses = 2 * sum(a * b for a, b in itertools.pairwise(sizes))
    time_steps = spec.spiking.step / spec.spiking.dt
    once = TIME_STEP + SYNAPSE * synapses * 5.0 / spec.spiking.tick
    return time_steps * once * machine.relative


def cortex_bytes(spec: ProtocolSpec, steps: int, arms: int) -> int:
    """Return the size of one animal's recording: spikes, potentials, counts."""
    section, seconds = spec.spiking, steps * spec.spiking.step / 1000
    cells, traced = sum(spec.network.layers), sum(len(r.ids) for r in section.traces)
    spikes = 12 * cells * section.target_rate * seconds * section.spikes
    potentials = (8 + 8 * traced) * seconds * 1000 / section.tick * bool(traced)
    return int(spikes + potentials + steps * (37 + 6 * cells) + ARM_BYTES * arms)


def neuron_bytes(spec: ProtocolSpec, steps: int, arms: int) -> int:
    """Return the size of one neuron's recording: potentials at every time step."""
    time_steps = steps * spec.spiking.step / spec.spiking.dt
    return int(time_steps * (8 + 3 * 4 + 1) + ARM_BYTES * arms)
