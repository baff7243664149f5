"""The datasets of a recording: path, shape of one row, units, description."""

import itertools
from dataclasses import dataclass

from neuro_aws.phase import Phase
from neuro_aws.protocol.schema import ActivityRecord, ProtocolSpec

FORMAT_VERSION = 1
CHUNK_BYTES = 1_000_000
PHASE_CODES = {phase: code for code, phase in enumerate(Phase)}
"""Code of a phase in the `phase` dataset: wake 0, nrem 1, rem 2."""
PHASES = "phase: " + ", ".join(f"{code} {phase}" for phase, code in PHASE_CODES.items())


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset; time (or the row number) is axis 0."""

    path: str
    units: str
    description: str
    shape: tuple[int, ...] = ()
    dtype: str = "f4"

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count * int(self.dtype[1:])


def _signals() -> list[Column]:
    ach = "neuromodulators"
    return [
        Column(f"{ach}/step", "step", "step of the animal's life, from 0", dtype="i8"),
        Column(f"{ach}/phase", "code", PHASES, dtype="u1"),
        Column(f"{ach}/ach", "D", "ACh as the discriminator reads it: batch mean of D"),
        Column(f"{ach}/ach_spread", "D", "standard deviation of D over the batch"),
        Column(f"{ach}/release", "D", "released ACh: D minus its running mean in REM, or a clamp"),
        Column(f"{ach}/gate", "1", "effect of released ACh on feedforward plasticity, batch mean"),
    ]


def _plasticity(spec: ProtocolSpec) -> list[Column]:
    columns = [
        Column("plasticity/step", "step", "step of the animal's life", dtype="i8"),
        Column("plasticity/phase", "code", PHASES, dtype="u1"),
    ]
    top = len(spec.network.layers) - 1
    for layer in range(top + 1):
        here = f"plasticity/layer{layer}"
        if layer > 0:
            columns += [
                Column(f"{here}/teaching", "D or D per rate", "root mean square of what taught F"),
                Column(f"{here}/feedforward_raw", "Delta", "length of dF into the layer"),
                Column(f"{here}/feedforward_applied", "weight", "length of F's change there"),
            ]
        if layer < top:
            columns += [
                Column(f"{here}/feedback_raw", "Delta", "length of dG into the layer"),
                Column(f"{here}/feedback_applied", "weight", "length of G's change there"),
                Column(
                    f"{here}/discriminator_raw", "Delta", "length of dW_i of D_i, i = this layer"
                ),
                Column(f"{here}/discriminator_applied", "weight", "length of W_i's change"),
            ]
    return columns


def recorded_units(record: ActivityRecord, spec: ProtocolSpec) -> list[int]:
    """Return the ids of the units whose activity is recorded."""
    if record.ids is not None:
        return list(record.ids)
    units = spec.network.layers[record.layer]
    return list(range(units if record.units is None else min(record.units, units)))


def _activity(spec: ProtocolSpec) -> list[Column]:
    columns = []
    for record in spec.record.activity:
        here = f"activity/layer{record.layer}"
        shape = (len(recorded_units(record, spec)),)
        columns += [
            Column(f"{here}/step", "step", "step of the animal's life", dtype="i8"),
            Column(f"{here}/soma", "rate", "batch mean of each recorded unit's soma", shape),
            Column(f"{here}/dendrite", "rate", "batch mean of what feedback predicts", shape),
        ]
    return columns


def weight_shapes(spec: ProtocolSpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight, by its name under /weights."""
    sizes, hidden = spec.network.layers, spec.network.discriminator.hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (below, above) in enumerate(itertools.pairwise(sizes)):
        shapes[f"feedforward_into{i + 1}"] = (above, below)
        shapes[f"feedforward_into{i + 1}_bias"] = (above,)
    for i, (below, above) in enumerate(itertools.pairwise(sizes)):
        shapes[f"feedback_into{i}"] = (below, above)
        shapes[f"feedback_into{i}_bias"] = (below,)
    for i, (below, above) in enumerate(itertools.pairwise(sizes)):
        shapes[f"discriminator{i}"] = (hidden, below + above)
    units = hidden * (len(sizes) - 1)
    shapes["discriminator_bias"] = shapes["discriminator_readout"] = (units,)
    return shapes


def _weights(spec: ProtocolSpec) -> list[Column]:
    columns = [Column("weights/step", "step", "steps lived when they were kept", dtype="i8")]
    for name, shape in weight_shapes(spec).items():
        columns.append(Column(f"weights/{name}", "weight", name.replace("_", " "), shape))
    return columns


def _tables() -> list[Column]:
    columns = []
    tables = (("phases", "phase", "S8"), ("perturbations", "perturbation", "S120"))
    for table, what, text in tables:
        here = f"intervals/{table}"
        columns += [
            Column(f"{here}/start", "step", f"first step of the {what}", dtype="i8"),
            Column(f"{here}/stop", "step", f"first step after the {what}", dtype="i8"),
            Column(f"{here}/label", "text", f"name of the {what}", dtype=text),
        ]
    return [
        *columns,
        Column("metrics/step", "step", "steps lived when measured", dtype="i8"),
        Column("metrics/period", "text", "period", dtype="S64"),
        Column("metrics/cycle", "cycle", "cycles of the period lived", dtype="i8"),
        Column("metrics/name", "text", "what was measured", dtype="S64"),
        Column("metrics/layer", "index", "layer, -1: none", dtype="i4"),
        Column("metrics/group", "text", "cells or stimuli it is about", dtype="S64"),
        Column("metrics/value", "see docs/measures.md", "the value", dtype="f8"),
    ]


def layout(spec: ProtocolSpec) -> list[Column]:
    """Return every dataset of one animal's recording."""
    return [
        *_signals(),
        *_plasticity(spec),
        *_activity(spec),
        *_weights(spec),
        *_tables(),
    ]
