"""The datasets of a spiking recording."""

import itertools

from neuro_aws.protocol.columns import PHASES, Column, tables, weight_columns
from neuro_aws.protocol.schema import ProtocolSpec


def cortex_layout(spec: ProtocolSpec) -> list[Column]:
    """Return the datasets of a spiking cortex; times are ms of biological time."""
    return _whole([*_steps(spec), *_traces(spec)], cortex_weight_shapes(spec))


def neuron_layout(spec: ProtocolSpec) -> list[Column]:
    """Return the datasets of a single neuron; times are ms of biological time."""
    return _whole(_neuron(), {"feedback_into0": (1, spec.network.layers[1])})


def _whole(columns: list[Column], weights: dict[str, tuple[int, ...]]) -> list[Column]:
    return [
        Column("spikes/time", "ms", "time of every spike", dtype="f8"),
        Column("spikes/neuron", "index", "which cell; layers one after the other", dtype="i4"),
        *columns,
        *weight_columns(weights),
        *tables(),
    ]


def _neuron() -> list[Column]:
    return [
        Column("potentials/time", "ms", "biological time since the first step", dtype="f8"),
        Column("potentials/soma", "15 mV", "U, the soma"),
        Column("potentials/dendrite", "15 mV", "V*, what the dendrite predicts of it"),
        Column("potentials/teacher", "15 mV", "where the teacher alone would hold the soma"),
        Column("potentials/taught", "1", "1 while the teacher is on", dtype="u1"),
    ]


def _steps(spec: ProtocolSpec) -> list[Column]:
    here = "neuromodulators"
    columns = [
        Column(f"{here}/step", "step", "step of the schedule, from 0", dtype="i8"),
        Column(f"{here}/phase", "code", PHASES, dtype="u1"),
        Column(f"{here}/label", "index", "label of the stimulus, -1: none", dtype="i4"),
        Column(f"{here}/ach", "logit", "ACh as the readout has it: mean over the step"),
        Column(f"{here}/ach_spread", "logit", "standard deviation within the step"),
        Column(f"{here}/release", "logit", "released ACh above its fast baseline, or a clamp"),
        Column(f"{here}/gate", "1", "gate of feedforward plasticity"),
        Column("counts/step", "step", "step of the schedule", dtype="i8"),
    ]
    for layer, units in enumerate(spec.network.layers):
        shape, path = (units,), f"counts/layer{layer}"
        columns += [
            Column(path, "spikes", "spikes of each cell in the step", shape, "u2"),
            Column(f"{path}_expected", "spikes", "spikes that its dendrite expected", shape),
        ]
    return columns


def traced_cells(spec: ProtocolSpec) -> list[int]:
    """Return the cells whose potentials are recorded, counted through all layers."""
    starts = [0, *itertools.accumulate(spec.network.layers)]
    return [starts[r.layer] + i for r in spec.spiking.traces for i in r.ids]


def _traces(spec: ProtocolSpec) -> list[Column]:
    cells = traced_cells(spec)
    if not cells:
        return []
    shape = (len(cells),)
    return [
        Column("potentials/time", "ms", "time of the update, since the first step", dtype="f8"),
        Column("potentials/soma", "15 mV", "U of the traced cells", shape),
        Column("potentials/dendrite", "15 mV", "V* of the traced cells", shape),
    ]


def cortex_weight_shapes(spec: ProtocolSpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of every recorded weight."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (below, above) in enumerate(itertools.pairwise(spec.network.layers)):
        shapes[f"feedforward_into{i + 1}"] = (above, below)
        shapes[f"feedback_into{i}"] = (below, above)
    return shapes
