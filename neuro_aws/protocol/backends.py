"""The backends: what each checks, records and costs, and where its simulator is. No torch here.

This table is the one place that knows which backend a protocol means. To add a backend: its
package under ``neuro_aws/backends``, and its entry here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from neuro_aws.protocol.check_spiking import check_rate, check_spiking
from neuro_aws.protocol.columns import Column, layout
from neuro_aws.protocol.document import KeyPath
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.spiking_columns import spiking_layout

Check = Callable[[ProtocolSpec], Iterator[tuple[KeyPath, str]]]


@dataclass(frozen=True)
class Backend:
    """One simulator, as everything above it needs to know it.

    ``check`` yields what this backend cannot do, ``columns`` every dataset of a recording,
    ``simulator`` and ``figure`` are ``module:name``, imported when they are used; ``seconds`` says
    that the time axis of its recordings is ms of biological time, not steps.
    """

    name: str
    help: str
    applies: Callable[[ProtocolSpec], bool]
    check: Check
    columns: Callable[[ProtocolSpec], list[Column]]
    simulator: str
    figure: str
    seconds: bool = False
    requires: tuple[str, ...] = ()
    """Modules that have to be installed for it."""


def _single_neuron(spec: ProtocolSpec) -> bool:
    return spec.stimulus.source == "spike_pattern"


BACKENDS: tuple[Backend, ...] = (
    Backend(
        "rate",
        "a network of rate units, in torch",
        lambda spec: spec.backend == "rate",
        check_rate,
        layout,
        "neuro_aws.backends.rate.simulator:RateSimulator",
        "neuro_aws.plots.traces:branch_figure",
    ),
    Backend(
        "spiking_cortex",
        "a network of two-compartment spiking neurons, in Brian2",
        lambda spec: spec.backend == "spiking" and not _single_neuron(spec),
        check_spiking,
        spiking_layout,
        "neuro_aws.backends.spiking.simulator:CortexSimulator",
        "neuro_aws.plots.spikes:branch_figure",
        seconds=True,
        requires=("brian2",),
    ),
    Backend(
        "single_neuron",
        "one two-compartment spiking neuron with a teacher, in Brian2",
        lambda spec: spec.backend == "spiking" and _single_neuron(spec),
        check_spiking,
        spiking_layout,
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
