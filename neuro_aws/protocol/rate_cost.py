"""What a step of the rate backend costs, and how much it records."""

import itertools
import math

from neuro_aws.protocol.columns import held_drives
from neuro_aws.protocol.machine import Machine
from neuro_aws.protocol.projections import declared, units
from neuro_aws.protocol.schedule import length
from neuro_aws.protocol.schema import Block, ProtocolSpec
from neuro_aws.protocol.theories import THEORIES

CALLS_PER_STEP, CALLS_PER_PAIR = 1400.0, 300.0
"""Small-array operations that take as long as one step does beside its matrix products: for the
step, and for each pair of neighbouring layers, on average over wake and REM."""

CALLS_OF_HOMEOSTASIS, CALLS_OF_PRIOR = 330.0, 1200.0
"""The same, added: for each pair of layers whose drives are held, and for a learnt prior."""

CALLS_IN_TIME = 60.0
"""The same for each time step of a sequence, on average over wake and REM."""

CONV_OVERHEAD = 1.8
"""Time of a convolutional step over that of its products at the rate of a matrix product."""

ARM_BYTES = 300_000
"""Of an arm's tables and of HDF5's own."""


def step_seconds(spec: ProtocolSpec, machine: Machine) -> float:
    """Return the seconds of one average step."""
    if spec.network.recurrent is not None:
        calls = CALLS_IN_TIME * spec.network.recurrent.steps * _work(spec)
        return calls * machine.call + flops_per_step(spec) / machine.products
    pairs = len(spec.network.layers) - 1
    calls = CALLS_PER_STEP + CALLS_PER_PAIR * pairs
    if spec.network.dcgan is None:
        calls *= _work(spec)
    if spec.network.homeostasis.over != "none":
        calls += CALLS_OF_HOMEOSTASIS * pairs
    if spec.network.prior == "learnt":
        calls += CALLS_OF_PRIOR
    return calls * machine.call + flops_per_step(spec) / machine.products


def _work(spec: ProtocolSpec) -> float:
    theory = THEORIES.get(spec.algorithm.name)
    return theory.work if theory is not None else 1.0


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
    passes = 6 * _work(spec) * kernels + 10 * units * spec.network.discriminator.hidden
    return CONV_OVERHEAD * spec.stimulus.batch * passes


def in_time_flops(spec: ProtocolSpec) -> float:
    """Return the same over sequences: three passes there and back through F, L, G, as many of D."""
    assert spec.network.recurrent is not None
    weights = sum(
        math.prod(shape)
        for projection in declared(spec.network)
        for shape in projection.tensors.values()
    )
    return 6.0 * spec.stimulus.batch * spec.network.recurrent.steps * weights * _work(spec)


def flops_per_step(spec: ProtocolSpec) -> float:
    """Return multiplications and additions of one average step: passes, rules, discriminator."""
    if spec.network.dcgan is not None:
        return conv_flops(spec)
    if spec.network.recurrent is not None:
        return in_time_flops(spec)
    sizes, hidden = spec.network.layers, spec.network.discriminator.hidden
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    pairs = sum((a + b) * hidden for a, b in itertools.pairwise(sizes))
    return 2.0 * spec.stimulus.batch * (3 * weights + 4 * pairs)


def network_bytes(spec: ProtocolSpec) -> int:
    """Return the least memory that one process takes to simulate a network.

    Of every projection the weights; of one that learns also the change of a step and the
    optimiser's moments. Of every unit soma and dendrite, drive and prediction, by stimulus. And
    what a memory stores.
    """
    section, numbers = spec.network, 0
    for projection in declared(section, extra=spec.algorithm.projections(section)):
        learning = spec.algorithm.learning(projection.kind)
        copies = 1
        if learning is not None:
            copies += 1
            copies += (1 + bool(learning.betas[0])) * (learning.optimiser == "adam")
        numbers += copies * sum(math.prod(shape) for shape in projection.tensors.values())
    numbers += 4 * spec.stimulus.batch * sum(units(section))
    if section.memory is not None:
        numbers += section.memory.patterns * units(section)[-1]
    return numbers * (8 if section.precision == "float64" else 4)


def wake_share(spec: ProtocolSpec) -> float:
    """Return the share of a run's steps that are wake."""

    def wake(blocks: tuple[Block, ...]) -> int:
        return sum((b.repeat or 1) * wake(b.phases) if b.phases else b.wake or 0 for b in blocks)

    steps = sum(period.cycles * length(period.phases) for period in spec.schedule)
    return sum(period.cycles * wake(period.phases) for period in spec.schedule) / steps


def recording_bytes(spec: ProtocolSpec, steps: int, arms: int) -> int:
    """Return the size of one animal's recording."""
    layers = len(spec.network.layers)
    signals = (8 + 1 + 4 * 4) / spec.record.ach.every
    signals += (8 + 1 + 4 * 7 * (layers - 1)) / spec.record.plasticity.every
    activity = sum(
        steps
        / r.every
        * 8
        * min(len(r.ids or ()) or r.units or 10**9, spec.network.layers[r.layer])
        for r in spec.record.activity
    )
    held = sum(2 * spec.network.layers[layer] for layer, _ in held_drives(spec))
    signals += 4 * held * wake_share(spec) / spec.record.homeostasis.every
    if spec.record.samples.every:
        sample = 4 * spec.stimulus.batch * (1 + layers)
        signals += (8 + sample) * wake_share(spec) / spec.record.samples.every
    sizes, hidden = spec.network.layers, spec.network.discriminator.hidden
    copies = 32 if spec.network.dcgan else 2
    if spec.network.dcgan:
        hidden = 0  # D is in the checkpoints
    weights = sum(
        copies * a * b + (a + b) * (hidden + 1) + 2 * hidden for a, b in itertools.pairwise(sizes)
    )
    if spec.network.recurrent is not None:
        shapes = [
            s for p in declared(spec.network) if p.target is not None for s in p.tensors.values()
        ]
        weights = sum(map(math.prod, shapes))
    kept = (arms + 1) * len(spec.schedule)
    if spec.record.weights:
        kept += arms * sum(p.cycles for p in spec.schedule) // spec.record.weights
    tables = 24 * steps + ARM_BYTES * arms
    return int(steps * signals + activity + 4 * weights * kept + tables)
