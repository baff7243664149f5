"""What a run will cost, told before it starts: steps, seconds and bytes. No torch in here."""

import itertools
import time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from neuro_aws.phase import Phase
from neuro_aws.protocol.load import Protocol
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.theories import THEORIES

CALLS_PER_STEP, CALLS_PER_PAIR = 340.0, 330.0
"""Small-array operations that take as long as one step does beside its matrix products: for the
step, and for each pair of neighbouring layers."""

CONV_OVERHEAD = 1.8
"""Time of a convolutional step over that of its products at the rate of a matrix product."""

REFERENCE_CALL = 6e-7
"""Seconds of one small-array operation on the machine the figures above were taken on."""

SPIKING_CALLS, SPIKING_SYNAPSE = 8e-5, 7e-10
"""Seconds of a time step of Brian2 (cython), and of a synapse in it: benchmarks/spiking_step.py."""

START_SECONDS, LIFE_SECONDS = 8.0, 0.1
"""Starting the processes and drawing the figures; storing one life."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take."""

    steps: int
    seconds: float
    bytes: int
    images_per_step: float = 0.0
    """Stimuli seen in an average step."""

    def __str__(self) -> str:
        size = self.bytes / 1e6
        return f"{self.steps:,} steps, about {duration(self.seconds)}, recording {size:.1f} MB"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def small_call_seconds() -> float:
    """Measure one small-array operation here, now: the lower quartile of some hundred blocks."""
    a = np.ones(64, np.float32)
    blocks = []
    for _ in range(300):
        start = time.perf_counter()
        for _ in range(20):
            a = a * 1.0
        blocks.append((time.perf_counter() - start) / 20)
    return float(np.quantile(blocks, 0.25))


def matrix_rate() -> float:
    """Measure floating-point operations a second of a matrix product of a layer's size."""
    a = np.ones((256, 256), np.float32)
    times = []
    with threadpool_limits(1):
        for _ in range(24):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
    return 2 * 256**3 / max(float(np.quantile(times, 0.25)), 1e-9)


def conv_flops(spec: ProtocolSpec) -> float:
    """Return the same for convolutional layers: 6 passes over the kernels, 10 over D's weights."""
    dcgan = spec.network.dcgan
    assert dcgan is not None
    channels, side = spec.network.layers, dcgan.side
    kernels = 0.0
    states = []
    for i, (below, above) in enumerate(itertools.pairwise(channels)):
        states.append(below * side**2)
        top = i + 2 == len(channels)
        positions, kernel = (1, side**2) if top else ((side // 2) ** 2, 16)
        kernels += positions * below * above * kernel
        side //= 2
    states.append(channels[-1])
    units = sum(a + b for a, b in itertools.pairwise(states))
    theory = THEORIES.get(spec.algorithm.name)
    work = theory.work if theory is not None else 1.0
    passes = 6 * work * kernels + 10 * units * spec.network.discriminator.hidden
    return CONV_OVERHEAD * spec.stimulus.batch * passes


def flops_per_step(spec: ProtocolSpec) -> float:
    """Return multiplications and additions of one average step: passes, rules, discriminator."""
    if spec.network.dcgan is not None:
        return conv_flops(spec)
    sizes, hidden = spec.network.layers, spec.network.discriminator.hidden
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    pairs = sum((a + b) * hidden for a, b in itertools.pairwise(sizes))
    return 2.0 * spec.stimulus.batch * (3 * weights + 4 * pairs)


def estimate(
    protocol: Protocol, animals: int, arms: list[str] | None = None, jobs: int = 1
) -> Estimate:
    """Return what running these arms will take with so many processes."""
    tree, spec = protocol.tree, protocol.spec
    chosen = [tree.arms[a] for a in (arms or tree.arms)]
    trunks = [tree.trunks[name] for name in {arm.trunk for arm in chosen}]
    steps = sum(t.stop for t in trunks) + sum(a.schedule.steps - a.branch for a in chosen)
    call = small_call_seconds()
    pairs = len(spec.network.layers) - 1
    calls = CALLS_PER_STEP + CALLS_PER_PAIR * pairs
    if spec.backend == "spiking":
        per_step = _spiking_step(spec) * call / REFERENCE_CALL
    else:
        per_step = calls * call + flops_per_step(spec) / matrix_rate()
    measuring = _measuring(protocol, chosen, trunks) * call / REFERENCE_CALL
    spread = max(1, min(jobs, animals * len(chosen)))
    one = steps * per_step + measuring
    seconds = animals / spread * one + START_SECONDS + LIFE_SECONDS * animals * len(chosen)
    size = animals * _bytes(spec, steps, len(chosen))
    return Estimate(animals * steps, seconds, size, _images_per_step(spec))


def _spiking_step(spec: ProtocolSpec) -> float:
    """Return the seconds of one step of the schedule: Brian2's calls, and the synapses' ticks."""
    sizes = spec.network.layers
    synapses = 2 * sum(a * b for a, b in itertools.pairwise(sizes))
    time_steps = spec.spiking.step / spec.spiking.dt
    return time_steps * (SPIKING_CALLS + SPIKING_SYNAPSE * synapses * 5.0 / spec.spiking.tick)


def _images_per_step(spec: ProtocolSpec) -> float:
    stretches = Schedule(spec.schedule).stretches
    waking = sum(s.count(Phase.WAKE) * s.cycles for s in stretches)
    batch = 1 if spec.backend == "spiking" else spec.stimulus.batch
    return batch * waking / max(sum(s.steps for s in stretches), 1)


def _measuring(protocol: Protocol, arms: list, trunks: list) -> float:  # type: ignore[type-arg]
    total = 0.0
    for m in protocol.spec.measure:
        entry = MEASURES.get(m.measure)
        once = (entry.seconds if entry is not None else 0.01) * getattr(m, "repeats", 1)
        moments = sum(len(protocol.spec.schedule) for t in trunks if t.stop) * 0.5
        for arm in arms:
            for stretch in arm.schedule.stretches:
                if stretch.start >= arm.branch:
                    moments += 1 + (stretch.cycles // m.every if m.every else 0)
        total += once * moments
    return total


def _bytes(spec: ProtocolSpec, steps: int, arms: int) -> int:
    layers = len(spec.network.layers)
    if spec.backend == "spiking":
        section, seconds = spec.spiking, steps * spec.spiking.step / 1000
        if spec.stimulus.source == "spike_pattern":
            return int(seconds * 1000 / section.dt * (8 + 3 * 4 + 1) + 300_000 * arms)
        cells, traced = sum(spec.network.layers), sum(len(r.ids) for r in section.traces)
        spikes = 12 * cells * section.target_rate * seconds * section.spikes
        potentials = (8 + 8 * traced) * seconds * 1000 / section.tick * bool(traced)
        return int(spikes + potentials + steps * (37 + 6 * cells) + 300_000 * arms)
    signals = (8 + 1 + 4 * 4) / spec.record.ach.every
    signals += (8 + 1 + 4 * 7 * (layers - 1)) / spec.record.plasticity.every
    activity = sum(
        steps
        / r.every
        * 8
        * min(len(r.ids or ()) or r.units or 10**9, spec.network.layers[r.layer])
        for r in spec.record.activity
    )
    sizes, hidden = spec.network.layers, spec.network.discriminator.hidden
    copies = 32 if spec.network.dcgan else 2
    if spec.network.dcgan:
        hidden = 0  # D is in the checkpoints
    weights = sum(
        copies * a * b + (a + b) * (hidden + 1) + 2 * hidden for a, b in itertools.pairwise(sizes)
    )
    kept = (arms + 1) * len(spec.schedule)
    if spec.record.weights:
        kept += arms * sum(p.cycles for p in spec.schedule) // spec.record.weights
    tables = 24 * steps + 300_000 * arms
    return int(steps * signals + activity + 4 * weights * kept + tables)
