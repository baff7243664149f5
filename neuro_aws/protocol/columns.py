"""The datasets of a recording: path, shape of one row, units, description."""

from dataclasses import dataclass

from neuro_aws.phase import (
    DISCRIMINATOR,
    FEEDBACK,
    FEEDFORWARD,
    INTERNEURONS,
    LATERAL,
    Phase,
)
from neuro_aws.protocol.projections import Projection, changes_by_layer, declared
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
        Column(f"{ach}/step", "step", "step of the schedule, from 0", dtype="i8"),
        Column(f"{ach}/phase", "code", PHASES, dtype="u1"),
        Column(f"{ach}/ach", "D", "ACh as the discriminator reads it: batch mean of D"),
        Column(f"{ach}/ach_spread", "D", "standard deviation of D over the batch"),
        Column(f"{ach}/release", "D", "released ACh: D minus its running mean in REM, or a clamp"),
        Column(f"{ach}/gate", "1", "effect of released ACh on feedforward plasticity, batch mean"),
    ]


_CHANGES = {
    FEEDFORWARD: ("length of dF into the layer", "length of F's change there"),
    FEEDBACK: ("length of dG into the layer", "length of G's change there"),
    LATERAL: ("length of dL within the layer", "length of L's change there"),
    DISCRIMINATOR: ("length of dV: D's weights from the layer", "length of V's change"),
    INTERNEURONS: ("length of dU: the layer's interneurons", "length of U's change"),
}
"""What is recorded of each kind by layer: the raw Delta, and the applied change."""


def _projections(spec: ProtocolSpec) -> tuple[Projection, ...]:
    """Return the projections that are recorded: all but the readout discriminator."""
    return declared(spec.network, extra=spec.algorithm.projections(spec.network))


def _plasticity(spec: ProtocolSpec) -> list[Column]:
    columns = [
        Column("plasticity/step", "step", "step of the run", dtype="i8"),
        Column("plasticity/phase", "code", PHASES, dtype="u1"),
    ]
    for layer in range(1, len(spec.network.layers)):
        path = f"plasticity/layer{layer}/teaching"
        columns.append(Column(path, "D or D per rate", "root mean square of F's teaching signal"))
    for kind, layers in changes_by_layer(_projections(spec)).items():
        raw, applied = _CHANGES[kind]
        for layer in layers:
            here = f"plasticity/layer{layer}/{kind}"
            columns.append(Column(f"{here}_raw", "Delta", raw))
            columns.append(Column(f"{here}_applied", "weight", applied))
    return columns


HELD = {
    "soma": "drive of the soma in wake",
    "dendrite": "drive of the dendrite in wake",
    "dream": "drive of the dendrite in REM",
}
"""The drives that homeostasis holds at a set point, as they are recorded."""


def held_drives(spec: ProtocolSpec) -> list[tuple[int, str]]:
    """Return every drive that homeostasis holds, as (layer, which)."""
    given, depth = spec.network.homeostasis, len(spec.network.layers) - 1
    if given.over == "none":
        return []
    hidden = [(layer, what) for layer in range(1, depth) for what in HELD]
    return hidden + ([(depth, "soma")] if given.top else [])


def _homeostasis(spec: ProtocolSpec) -> list[Column]:
    held, here = held_drives(spec), "homeostasis"
    if not held:
        return []
    columns = [Column(f"{here}/step", "step", "step of the schedule", dtype="i8")]
    for layer, what in held:
        shape, path = (spec.network.layers[layer],), f"{here}/layer{layer}/{what}"
        mean, variance = (f"running {word} of each unit's {HELD[what]}" for word in _MOMENTS)
        columns.append(Column(f"{path}_mean", "potential", mean, shape))
        columns.append(Column(f"{path}_variance", "potential squared", variance, shape))
        if what == "soma":
            path = f"{here}/layer{layer}/threshold"
            columns.append(Column(path, "potential", "learnt threshold of each unit", shape))
    return columns


_MOMENTS = ("mean", "variance")


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
            Column(f"{here}/step", "step", "step of the schedule", dtype="i8"),
            Column(f"{here}/soma", "rate", "batch mean of each recorded unit's soma", shape),
            Column(f"{here}/dendrite", "rate", "batch mean of what feedback predicts", shape),
        ]
    return columns


def _samples(spec: ProtocolSpec) -> list[Column]:
    if not spec.record.samples.every:
        return []
    here, batch = "samples", (spec.stimulus.batch,)
    columns = [
        Column(f"{here}/step", "step", "wake step of the schedule", dtype="i8"),
        Column(f"{here}/label", "index", "label of each stimulus, -1: none", batch, "i4"),
        Column(f"{here}/ach", "D", "ACh (D) of each stimulus", batch),
    ]
    for layer in range(1, len(spec.network.layers)):
        path, words = f"{here}/layer{layer}/teaching", "length of each stimulus' teaching signal"
        columns.append(Column(path, "D or D per rate", words, batch))
    return columns


def weight_shapes(spec: ProtocolSpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of every recorded weight, by its name under /weights.

    D's weights are kept by state: the hidden units of the one or two pairs that read a layer. Of a
    convolutional or recurrent network the layers' weights are recorded; its checkpoints hold D.
    """
    return {
        name: shape
        for projection in _projections(spec)
        if projection.kind != DISCRIMINATOR
        or (spec.network.dcgan is None and spec.network.recurrent is None)
        for name, shape in projection.tensors.items()
    }


def weight_columns(shapes: dict[str, tuple[int, ...]]) -> list[Column]:
    """Return the datasets of weights, given their shapes by name."""
    columns = [Column("weights/step", "step", "steps simulated when they were kept", dtype="i8")]
    for name, shape in shapes.items():
        columns.append(Column(f"weights/{name}", "weight", name.replace("_", " "), shape))
    return columns


def _images(spec: ProtocolSpec) -> list[Column]:
    shape = picture_shape(spec)
    if shape is None:
        return []
    depth = len(spec.network.layers)
    return [
        Column("images/step", "step", "steps simulated", dtype="i8"),
        Column("images/dreams", "grey level", "dreams of the same draws", (64, *shape), "u1"),
        Column(
            "images/predicted",
            "grey level",
            "10 stimuli, then k layers up and k layers down, k = 1 ... N",
            (10, depth, *shape),
            "u1",
        ),
    ]


def picture_shape(spec: ProtocolSpec) -> tuple[int, int, int] | None:
    """Return height, width and channels of a stimulus; None where it is no single picture."""
    return spec.stimulus.picture


INTERVALS = {
    "phases": ("phase", "S8"),
    "perturbations": ("perturbation", "S120"),
    "losses": ("loss", "S120"),
}
"""Tables of intervals: what each is of, and the type of its labels."""


def tables() -> list[Column]:
    """Return the tables that every recording has: intervals and metrics."""
    columns = []
    for table, (what, text) in INTERVALS.items():
        here = f"intervals/{table}"
        columns += [
            Column(f"{here}/start", "step", f"first step of the {what}", dtype="i8"),
            Column(f"{here}/stop", "step", f"first step after the {what}", dtype="i8"),
            Column(f"{here}/label", "text", f"name of the {what}", dtype=text),
        ]
    return [
        *columns,
        Column("metrics/step", "step", "steps simulated when measured", dtype="i8"),
        Column("metrics/period", "text", "period", dtype="S64"),
        Column("metrics/cycle", "cycle", "cycles of the period simulated", dtype="i8"),
        Column("metrics/name", "text", "what was measured", dtype="S64"),
        Column("metrics/layer", "index", "layer, -1: none", dtype="i4"),
        Column("metrics/group", "text", "cells or stimuli it is about", dtype="S64"),
        Column("metrics/value", "see docs/measures.md", "the value", dtype="f8"),
    ]


def layout(spec: ProtocolSpec) -> list[Column]:
    """Return every dataset of one animal's recording (rate backend)."""
    return [
        *_signals(),
        *_plasticity(spec),
        *_activity(spec),
        *_homeostasis(spec),
        *_samples(spec),
        *weight_columns(weight_shapes(spec)),
        *_images(spec),
        *tables(),
    ]
