"""The backends: what each checks, records and costs, and where its simulator is. No torch here.

This table is the one place that knows which backend a protocol means. To add a backend: its
package under ``neuro_aws/backends``, and its entry here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from neuro_aws.protocol import rate_cost, spiking_cost
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.check_spiking import check_cortex, check_neuron, check_rate
from neuro_aws.protocol.columns import Column, layout
from neuro_aws.protocol.machine import Machine
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.spiking_columns import cortex_layout, neuron_layout
from neuro_aws.protocol.stimuli_built_in import SpikePattern

Check = Callable[[ProtocolSpec], Iterator[tuple[KeyPath, str]]]


@dataclass(frozen=True)
class Backend:
    """One simulator, as everything above it needs to know it.

    ``check`` yields what this backend cannot do, ``columns`` every dataset of a recording,
    ``step_seconds`` and ``bytes`` what a step takes and a recording (spec, steps, arms) holds;
    ``simulator`` and ``figure`` are ``module:name``, imported when they are used. ``batches`` says
    that a step shows a whole batch of stimuli, ``seconds`` that the time axis of recordings is ms
    of biological time, not steps.
    """

    name: str
    help: str
    applies: Callable[[ProtocolSpec], bool]
    check: Check
    columns: Callable[[ProtocolSpec], list[Column]]
    step_seconds: Callable[[ProtocolSpec, Machine], float]
    bytes: Callable[[ProtocolSpec, int, int], int]
    simulator: str
    figure: str
    batches: bool = False
    seconds: bool = False
    requires: tuple[str, ...] = ()
    """Modules that have to be installed for it."""


def _single_neuron(spec: ProtocolSpec) -> bool:
    return isinstance(spec.stimulus, SpikePattern)


BACKENDS: tuple[Backend, ...] = (
    Backend(
        "rate",
        "a network of rate units, in torch",
        lambda spec: spec.backend == "rate",
        check_rate,
        layout,
        rate_cost.step_seconds,
        rate_cost.recording_bytes,
        "neuro_aws.backends.rate.simulator:RateSimulator",
        "neuro_aws.plots.traces:branch_figure",
        batches=True,
    ),
    Backend(
        "spiking_cortex",
        "a network of two-compartment spiking neurons, in Brian2",
        lambda spec: spec.backend == "spiking" and not _single_neuron(spec),
        check_cortex,
        cortex_layout,
        spiking_cost.step_seconds,
        spiking_cost.cortex_bytes,
        "neuro_aws.backends.spiking.simulator:CortexSimulator",
        "neuro_aws.plots.spikes:branch_figure",
        seconds=True,
        requires=("brian2",),
    ),
    Backend(
        "single_neuron",
        "one two-compartment spiking neuron with a teacher, in Brian2",
        lambda spec: spec.backend == "spiking" and _single_neuron(spec),
        check_neuron,
        neuron_layout,
        spiking_cost.step_seconds,
        spiking_cost.neuron_bytes,
        "neuro_aws.backends.spiking.single_neuron:NeuronSimulator",
        "neuro_aws.plots.spikes:neuron_figure",
        seconds=True,
        requires=("brian2",),
    ),
)
"""Every simulator, the first that applies to a protocol is the one that runs it."""


def backend_of(spec: ProtocolSpec) -> Backend:
    """Return the backend that runs a protocol."""
    return next(backend for backend in BACKENDS if backend.applies(spec))
