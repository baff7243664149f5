"""A prediction matrix: which theories are put through which manipulations, and what is compared."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from neuro_aws.errors import ProtocolError
from neuro_aws.phase import Phase
from neuro_aws.protocol.base import KeyPath, Section
from neuro_aws.protocol.document import Document, override, parse
from neuro_aws.protocol.faults import faults, nearest
from neuro_aws.protocol.load import OF_A_MATRIX, read
from neuro_aws.protocol.measures import VALUES
from neuro_aws.protocol.perturb import Perturbation, Phases
from neuro_aws.protocol.schema import Slug
from neuro_aws.protocol.shipped import file_of
from neuro_aws.protocol.short import shorten

OURS = ("schema_version", "name", "seeds", "arms", "expect", "short", "backend", "keep", "watch")
"""What the protocol of a block leaves to the matrix."""

SHARED_SLUG = 31
"""Longest name of a block or a theory: both together name a run."""


class Lesion(Section):
    """An animal that grows up without a part of its theory, and has to learn less for it."""

    settings: dict[str, JsonValue] = Field(min_length=1)
    """Settings (key.path: value) from the start."""
    value: str
    """What has to be lower than in the whole theory, in the top layer."""


class Criterion(Section):
    """Whether a theory has learnt: what is not met is marked, and not compared."""

    exempt: bool = False
    """A null is not asked."""
    probe: Literal["linear_probe", "linear_probe_noisy"] = "linear_probe"
    """Has to gain in the top layer since initialisation, its 95 % interval above 0."""
    beyond: str | None = None
    """A null, whose gain in the same animals and block the probe's gain has to exceed as well."""
    lesions: dict[Slug, Lesion] = {}
    """Each has to cost what it names."""


class TheoryColumn(Section):
    """A theory with its settings."""

    description: str = ""
    settings: dict[str, JsonValue] = {}
    """Over the protocol of every block, key.path: value."""
    phases: Phases = (Phase.WAKE, Phase.NREM, Phase.REM)
    """Those that the theory speaks of; cells of what is done in another are not applicable."""
    blocks: tuple[str, ...] = ()
    """The blocks it can be asked in; none named: all."""
    criterion: Criterion = Criterion()


class Manipulation(Section):
    """What is done, what else is done in both arms, and what is measured."""

    description: str = ""
    of: str | None = None
    """Another manipulation, here done `under` something: how do the two effects differ?"""
    perturb: Annotated[tuple[Perturbation, ...], Field(max_length=100)] = ()
    """What the arm has and its reference has not."""
    under: Annotated[tuple[Perturbation, ...], Field(max_length=100)] = ()
    """What both have."""
    value: str | None = None
    """What is measured at the end of the last period."""
    layer: int | None = None
    targets: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        own = [key for key in ("perturb", "value", "layer", "targets") if getattr(self, key)]
        if self.of is not None and own:
            raise ValueError(
                f"`of` takes {own[0]} from the other manipulation; drop one of the two"
            )
        if self.of is not None and not self.under:
            raise ValueError("`of` another manipulation needs `under`: what else is done")
        if self.of is None and not (self.perturb and self.value):
            raise ValueError("give perturb and value, or `of` another manipulation")
        return self


class MatrixBlock(Section):
    """Animals of one kind of stimulus, with an infancy of their own."""

    description: str = ""
    protocol: dict[str, JsonValue]
    """A protocol but for name, seeds and arms: what all theories share."""
    asked: tuple[Literal["probe", "objective"], ...] = ("probe", "objective")
    """Which parts of the criterion are judged here, at the end of the unperturbed arm."""
    manipulations: Annotated[dict[Slug, Manipulation], Field(min_length=1, max_length=100)]


class MeasurementNoise(Section):
    """What an experimenter's measurement adds to a simulated animal's effect."""

    levels: tuple[float, float, float]
    """Standard deviations between animals, in units of the value."""
    default: float
    source: str = Field(min_length=1)
    """Where the default comes from."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 <= self.levels[0] < self.levels[1] < self.levels[2]:
            raise ValueError("levels rise from 0 or more: three standard deviations")
        if self.default not in self.levels:
            raise ValueError("default is one of the levels")
        return self


class ShortMatrix(Section):
    """The matrix in some seconds: `matrix --short`."""

    set: dict[str, JsonValue] = {}
    """Settings (key.path: value) that shrink it."""
    theories: tuple[str, ...] = ()
    """Only these; none named: all."""


class MatrixSpec(Section):
    """The file of a prediction matrix."""

    matrix_version: Literal[1]
    name: Slug
    description: str = ""
    seeds: int = Field(1, ge=1, le=10_000)
    """Animals; the same ones in every theory."""
    theories: Annotated[dict[Slug, TheoryColumn], Field(min_length=1, max_length=100)]
    blocks: Annotated[dict[Slug, MatrixBlock], Field(min_length=1, max_length=20)]
    noise: dict[str, MeasurementNoise] = {}
    """By measured value."""
    compare: tuple[str, str] | None = None
    """The two theories that are to be told apart, unless `--compare` names others."""
    short: ShortMatrix | None = None

    def measured(self, block: str, manipulation: str) -> Manipulation:
        """Return the manipulation that says what is done and measured: itself, or `of` which."""
        found = self.blocks[block].manipulations[manipulation]
        return found if found.of is None else self.blocks[block].manipulations[found.of]


@dataclass(frozen=True)
class Matrix:
    """A matrix that may be run: its text as written, and its settings."""

    spec: MatrixSpec
    text: str
    source: str
    short: bool = False
    overrides: tuple[str, ...] = ()
    """What was changed of the text, as in ``--set``."""
    origin: str = ""
    """The file it was begun from: code of the user's own is looked for beside that."""
    allow_code: bool = False
    """Whether importing code of the user's own was consented to."""

    @classmethod
    def load(
        cls,
        path: str | Path,
        overrides: Iterable[str] = (),
        *,
        short: bool = False,
        allow_code: bool = False,
    ) -> "Matrix":
        """Read the file of a matrix, or the shipped one of this name.

        ``overrides`` are key.path=value, ``short`` its short form; ``allow_code`` consents to
        importing the user's own code that it names.
        """
        path = file_of(path)
        return cls.from_text(read(path), str(path), overrides, short=short, allow_code=allow_code)

    @classmethod
    def from_text(
        cls,
        text: str,
        source: str,
        overrides: Iterable[str] = (),
        *,
        short: bool = False,
        origin: str | None = None,
        allow_code: bool = False,
    ) -> "Matrix":
        """Read a matrix from its text, or refuse it with one line for each fault.

        ``origin`` is the file it was begun from, where that is not ``source``.
        """
        document = parse(text, source)
        if OF_A_MATRIX not in document.data:
            raise ProtocolError([f"{source}: is no prediction matrix: it has no `{OF_A_MATRIX}`"])
        if short:
            shorten(document)
            document.data.pop("expect", None)
        overrides = tuple(overrides)
        for assignment in overrides:
            override(document, assignment)
        spec = _validated(document)
        found = [document.fault(path, message) for path, message in _misfits(spec)]
        if found:
            raise ProtocolError(found)
        if short and spec.short is not None and spec.short.theories:
            kept = {name: spec.theories[name] for name in spec.short.theories}
            compare = spec.compare if spec.compare and set(spec.compare) <= set(kept) else None
            spec = spec.model_copy(update={"theories": kept, "compare": compare})
        return cls(spec, text, source, short, overrides, origin or source, allow_code)


def _validated(document: Document) -> MatrixSpec:
    try:
        return MatrixSpec.model_validate_json(json.dumps(document.data, allow_nan=False))
    except ValidationError as error:
        raise ProtocolError(faults(error, document, MatrixSpec)) from error
    except (TypeError, ValueError) as error:
        raise ProtocolError([f"{document.source}: a value is not allowed here: {error}"]) from error


def _misfits(spec: MatrixSpec) -> Iterator[tuple[KeyPath, str]]:
    """Yield what a schema cannot see: names that are not there, values without noise."""
    for i, name in enumerate(spec.compare or ()):
        yield from _unknown(("compare", i), "theory", name, spec.theories)
    if spec.compare is not None and spec.compare[0] == spec.compare[1]:
        yield ("compare",), "names one theory twice"
    for i, name in enumerate(spec.short.theories if spec.short else ()):
        yield from _unknown(("short", "theories", i), "theory", name, spec.theories)
    for theory, column in spec.theories.items():
        for i, name in enumerate(column.blocks):
            yield from _unknown(("theories", theory, "blocks", i), "block", name, spec.blocks)
        yield from _null(spec, theory)
    for name in spec.noise:
        yield from _unknown(("noise", name), "value", name, VALUES)
    for kind in ("theories", "blocks"):
        for name in getattr(spec, kind):
            if len(name) > SHARED_SLUG:
                yield (kind, name), f"at most {SHARED_SLUG} letters: a run is named after it"
    for block, section in spec.blocks.items():
        for key in OURS:
            if key in section.protocol:
                path: KeyPath = ("blocks", block, "protocol", key)
                yield path, "is the matrix's own business here; drop it"
        yield from _manipulations(spec, block)


def _null(spec: MatrixSpec, theory: str) -> Iterator[tuple[KeyPath, str]]:
    null, path = spec.theories[theory].criterion.beyond, ("theories", theory, "criterion", "beyond")
    if null is not None:
        there = list(_unknown(path, "theory", null, spec.theories))
        yield from there
        if not there and not spec.theories[null].criterion.exempt:
            yield path, f"{null!r} is no null: its own criterion is not `exempt`"


def _manipulations(spec: MatrixSpec, block: str) -> Iterator[tuple[KeyPath, str]]:
    known = spec.blocks[block].manipulations
    for name, found in known.items():
        path: KeyPath = ("blocks", block, "manipulations", name)
        if found.of is not None:
            there = list(_unknown((*path, "of"), "manipulation", found.of, known))
            yield from there
            if not there and known[found.of].of is not None:
                yield (*path, "of"), f"{found.of!r} is `of` another one itself; name that one"
        elif found.value is not None:
            there = list(_unknown((*path, "value"), "value", found.value, VALUES))
            yield from there
            if not there and found.value not in spec.noise:
                yield (*path, "value"), f"has no measurement noise; give noise.{found.value}"


def _unknown(
    path: KeyPath, kind: str, name: str, known: dict[str, Any]
) -> Iterator[tuple[KeyPath, str]]:
    if name not in known:
        shown = ", ".join(known) if len(known) < 20 else "neuro-aws list measures names them"
        yield path, f"no {kind} {name!r}{nearest(name, list(known))} Known: {shown}"
