"""What the spiking backend cannot do, refused with the reason."""

import itertools
from collections.abc import Iterator

from pydantic import BaseModel

from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.entry import CORTEX
from neuro_aws.protocol.measures import of_weights
from neuro_aws.protocol.perturb import PERTURBATIONS
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.spiking import SpikingSection
from neuro_aws.protocol.stimuli_built_in import SpikePattern
from neuro_aws.protocol.theories import THEORIES

Found = Iterator[tuple[KeyPath, str]]

MOST_NEURONS, MOST_SYNAPSES = 5_000, 5_000_000


def check_rate(spec: ProtocolSpec) -> Found:
    """Yield every fault of a protocol for the rate backend: what belongs to spikes only."""
    if spec.spiking != SpikingSection():
        yield ("spiking",), "belongs to `backend: spiking`"
    if isinstance(spec.stimulus, SpikePattern):
        yield ("stimulus", "source"), f"{spec.stimulus.source} belongs to `backend: spiking`"


def check_cortex(spec: ProtocolSpec) -> Found:
    """Yield every fault of a protocol for a spiking cortex."""
    yield from _sections(spec)
    yield from _sizes(spec)
    yield from _traces(spec)
    for name, arm in spec.arms.items():
        for i, p in enumerate(arm.perturb):
            path: KeyPath = ("arms", name, "perturb", i)
            if p.yoke is not None:
                yield (*path, "yoke"), "spikes see one stimulus at a time: nothing to shuffle over"
            elif CORTEX not in PERTURBATIONS[p.action].code:
                yield (*path, p.action), "belongs to the rate backend"
    if spec.spiking.target == "cpp_standalone":
        if spec.spiking.prior == "replay":
            message = "looks back while it runs, which cpp_standalone cannot; use prior: normal"
            yield ("spiking", "prior"), message
        if spec.record.weights or any(m.every and of_weights(m.measure) for m in spec.measure):
            message = "cpp_standalone shows weights at the ends of periods only"
            yield ("spiking", "target"), message


def check_neuron(spec: ProtocolSpec) -> Found:
    """Yield every fault of a protocol for a single neuron."""
    yield from _sections(spec)
    assert isinstance(spec.stimulus, SpikePattern)
    if spec.network.dcgan is None and spec.network.layers != (1, spec.stimulus.afferents):
        message = f"a single neuron and its afferents: [1, {spec.stimulus.afferents}]"
        yield ("network", "layers"), message
    if spec.stimulus.period != spec.spiking.step:
        yield ("stimulus", "period"), "is one step: give spiking.step the same duration"
    read = {"target", "dt", "step", "tick", "segment", "window", "refractory_error", "learning"}
    for key in _changed(spec.spiking, read):
        yield ("spiking", key), "has no meaning for a single neuron"
    for name, arm in spec.arms.items():
        for i, _ in enumerate(arm.perturb):
            yield ("arms", name, "perturb", i), "a single neuron has no network to perturb"
    if spec.spiking.target == "cpp_standalone":
        yield ("spiking", "target"), "a single neuron needs no program of its own; use cython"


def _changed(section: BaseModel, beside: set[str]) -> list[str]:
    """Return the settings that differ from their default, but for some."""
    fields = type(section).model_fields
    return [
        key
        for key, field in fields.items()
        if key not in beside
        and getattr(section, key) != field.get_default(call_default_factory=True)
    ]


def _sections(spec: ProtocolSpec) -> Found:
    for key in _changed(spec.network, {"layers"}):
        yield ("network", key), "belongs to the rate backend; spikes have `layers` and `spiking`"
    for key in _changed(spec.algorithm, {"name", "credit"}):
        yield ("algorithm", key), "belongs to the rate backend; see `spiking.learning`"
    known = [name for name, theory in THEORIES.items() if CORTEX in theory.code]
    if spec.algorithm.name not in known:
        message = f"{spec.algorithm.name} has no spiking form; {' or '.join(known)}"
        yield ("algorithm", "name"), message
    elif getattr(spec.algorithm, "credit", "scalar") != "scalar":
        message = "spiking cells receive ACh as one number for all: say credit: scalar"
        yield ("algorithm", "credit"), message
    if spec.stimulus.batch != type(spec.stimulus).model_fields["batch"].default:
        yield ("stimulus", "batch"), "spikes see one stimulus a step; leave it out"
    for key in _changed(spec.record, {"weights"}):
        yield ("record", key), "belongs to the rate backend; see `spiking.spikes` and `.traces`"
    for section in ("watch", "keep", "preset"):
        value = getattr(spec, section)
        if value is not None and (section == "preset" or _changed(value, set())):
            yield (section,), "belongs to the rate backend"


def _sizes(spec: ProtocolSpec) -> Found:
    sizes = spec.network.layers
    if spec.network.dcgan is not None:
        return
    synapses = 2 * sum(a * b for a, b in itertools.pairwise(sizes))
    if sum(sizes) > MOST_NEURONS or synapses > MOST_SYNAPSES:
        message = (
            f"{sum(sizes):,} neurons and {synapses:,} synapses; at most {MOST_NEURONS:,} "
            f"and {MOST_SYNAPSES:,}"
        )
        yield ("network", "layers"), message


def _traces(spec: ProtocolSpec) -> Found:
    for i, record in enumerate(spec.spiking.traces):
        path: KeyPath = ("spiking", "traces", i)
        if record.layer >= len(spec.network.layers):
            yield (*path, "layer"), f"there is no layer {record.layer}"
        elif max(record.ids) >= spec.network.layers[record.layer]:
            units = spec.network.layers[record.layer]
            yield (*path, "ids"), f"layer {record.layer} has units 0 to {units - 1}"
