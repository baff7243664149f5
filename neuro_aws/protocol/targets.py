"""Which cells a selection means, in one animal. numpy only: `validate` prints what `run` uses."""

import zlib
from collections.abc import Mapping
from typing import NamedTuple

from neuro_aws.protocol.actions_on_cells import Cells
from neuro_aws.protocol.measures_with_settings import ReceptiveField
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.rng import numpy_generator, target_stream


class Targets(NamedTuple):
    """Cells of one layer, ids ascending; both counted from 0."""

    layer: int
    ids: tuple[int, ...]


def named(cells: Cells, spec: ProtocolSpec) -> Cells:
    """Return the selection behind a reference to the protocol's `targets`."""
    return spec.targets[cells.targets] if cells.targets is not None else cells


def name_of(cells: Cells, spec: ProtocolSpec) -> str:
    """Return the name under which a selection is followed."""
    if cells.targets is not None:
        return cells.targets
    plain = Cells(**{k: getattr(cells, k) for k in Cells.model_fields})
    for name, known in spec.targets.items():
        if known == plain:
            return name
    if plain.fraction is not None:
        draw = f"_draw{plain.draw}" if plain.draw else ""
        return f"layer{plain.layer}_{100 * plain.fraction:g}pct{draw}"
    if plain.all:
        return f"layer{plain.layer}_all"
    assert plain.ids is not None
    ids = "_".join(map(str, plain.ids))
    if len(ids) > 24:
        ids = f"{len(plain.ids)}_{zlib.crc32(ids.encode()):08x}"
    return f"layer{plain.layer}_ids_{ids}"


def resolve(cells: Cells, spec: ProtocolSpec, animal: int) -> Targets:
    """Return the cells of one animal.

    A fraction takes the head of one random order of the layer per animal and ``draw``: larger
    fractions contain smaller ones, and every arm of the animal gets the same cells.
    """
    cells = named(cells, spec)
    assert cells.layer is not None
    units = spec.network.layers[cells.layer]
    if cells.ids is not None:
        return Targets(cells.layer, tuple(sorted(cells.ids)))
    if cells.all:
        return Targets(cells.layer, tuple(range(units)))
    assert cells.fraction is not None
    order = numpy_generator(animal, target_stream(cells.layer, cells.draw)).permutation(units)
    count = max(1, round(cells.fraction * units))
    return Targets(cells.layer, tuple(sorted(int(i) for i in order[:count])))


def followed(spec: ProtocolSpec) -> dict[str, Cells]:
    """Return every set of cells the experiment names or perturbs, by name."""
    sets = dict(spec.targets)
    for arm in spec.arms.values():
        for perturbation in arm.perturb:
            if perturbation.cells is not None:
                cells = perturbation.cells
                sets.setdefault(name_of(cells, spec), named(cells, spec))
    return sets


def fields(asked: ReceptiveField, known: Mapping[str, Targets]) -> dict[str, Targets]:
    """Return the cells whose receptive fields are asked for, by name; ``known`` are followed."""
    if asked.layer is not None and asked.first is not None:
        name = f"layer{asked.layer}_first{asked.first}"
        return {name: Targets(asked.layer, tuple(range(asked.first)))}
    names = list(known) if asked.targets is None else [asked.targets]
    return {name: known[name] for name in names if known[name].layer > 0}
