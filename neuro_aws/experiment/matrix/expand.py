"""From a matrix to ordinary protocols: one a block and theory, with an arm a manipulation."""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import yaml

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.experiment.matrix.acts import Facts, facts_of, missing, narrowed, unread
from neuro_aws.experiment.matrix.measurable import refuse_unmeasured
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.consent import Request
from neuro_aws.protocol.document import assign, key_path
from neuro_aws.protocol.matrix import Matrix
from neuro_aws.protocol.own_code import named_in
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.upgrade import VERSION

CONTROL, LESION = "control", "lesion"


class Status(StrEnum):
    """What a cell of the matrix is."""

    MEASURED = "measured"
    BY_DEFINITION = "by definition"
    """Nothing that waking hangs on can be reached: 0, and not run."""
    AS_WITHOUT = "as without, by definition"
    """What is done beside does nothing: the effect is that of the other manipulation."""
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class CellPlan:
    """Where the numbers of a cell come from: an arm and its reference, of one run."""

    manipulation: str
    status: Status
    arm: str = ""
    reference: str = ""
    why: str = ""


@dataclass(frozen=True)
class RunPlan:
    """One block under one theory."""

    block: str
    theory: str
    protocol: Protocol
    cells: dict[str, CellPlan]
    lesions: dict[str, str] = field(default_factory=dict)
    """The arm of each lesion."""

    @property
    def name(self) -> str:
        """Name of its run."""
        return name_of(self.block, self.theory)


def name_of(block: str, theory: str) -> str:
    """Return the name of the run of a block under a theory."""
    return f"{block}-{theory}"


def expand(matrix: Matrix) -> list[RunPlan]:
    """Return every run that a matrix takes; what cannot be run is refused before anything is."""
    return [_plan(matrix, block, theory) for block, theory in _asked(matrix)]


def _asked(matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Yield every block and theory that is asked in it."""
    for theory, column in matrix.spec.theories.items():
        for block in matrix.spec.blocks:
            if not column.blocks or block in column.blocks:
                yield block, theory


def own_code(matrix: Matrix) -> list[str]:
    """Return the user's own code that a matrix names, as module:attribute; none is imported."""
    unloaded = replace(matrix, allow_code=False)
    found = [own.reference for _, own in named_in(matrix.spec, (), set())]
    for block, theory in _asked(matrix):
        data, where = _settings(matrix, block, theory)
        arms = {CONTROL: {}, **_lesions(matrix, block, theory)}
        found += _loaded({**data, "arms": arms}, where, unloaded).own_code
    return list(dict.fromkeys(found))


def chosen(plans: list[RunPlan], theories: str | None) -> list[RunPlan]:
    """Return the runs of some theories, in the order in which they are named; None: all."""
    if theories is None:
        return plans
    names = [name.strip() for name in theories.split(",")]
    known = list(dict.fromkeys(plan.theory for plan in plans))
    for name in names:
        if name not in known:
            raise NeuroAWSError(
                f"no theory {name!r}", where="--theories", next_step="Theories: " + ", ".join(known)
            )
    return [plan for name in dict.fromkeys(names) for plan in plans if plan.theory == name]


class _Arms:
    """Arms by what is done in them, so that what comes to the same is run once."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {CONTROL: {}}
        self._names = {self._key((), ()): CONTROL}

    def take(
        self, name: str, perturb: tuple[Perturbation, ...], under: tuple[Perturbation, ...]
    ) -> str:
        """Return the arm in which this is done, making it if there is none."""
        key = self._key(perturb, under)
        name = f"{name}_arm" if name in (CONTROL, "common") else name
        if key not in self._names:
            self._names[key] = name
            self.made[name] = {"perturb": [_written(p) for p in (*under, *perturb)]}
        return self._names[key]

    @staticmethod
    def _key(perturb: tuple[Perturbation, ...], under: tuple[Perturbation, ...]) -> str:
        return json.dumps(
            sorted(json.dumps(_written(p), sort_keys=True) for p in (*under, *perturb))
        )


def _written(p: Perturbation) -> dict[str, Any]:
    """Return a perturbation as a protocol writes it."""
    written: dict[str, Any] = json.loads(p.model_dump_json(by_alias=True, exclude_defaults=True))
    return written


def _settings(matrix: Matrix, block: str, theory: str) -> tuple[dict[str, Any], str]:
    """Return the protocol of a block under a theory but for its arms, and where it comes from."""
    where = f"{matrix.source}: {block} under {theory}"
    data: dict[str, Any] = copy.deepcopy(dict(matrix.spec.blocks[block].protocol))
    for key, value in matrix.spec.theories[theory].settings.items():
        assign(data, key_path(key), copy.deepcopy(value), where)
    data |= {
        "schema_version": VERSION,
        "name": name_of(block, theory),
        "seeds": matrix.spec.seeds,
    }
    return data, where


def _lesions(matrix: Matrix, block: str, theory: str) -> dict[str, Any]:
    """Return the arms of animals that grow up without a part of their theory."""
    if "probe" not in matrix.spec.blocks[block].asked:
        return {}
    return {
        f"{LESION}_{name}": {"initial": dict(lesion.settings), "reference": CONTROL}
        for name, lesion in matrix.spec.theories[theory].criterion.lesions.items()
    }


def _plan(matrix: Matrix, block: str, theory: str) -> RunPlan:
    section, column = matrix.spec.blocks[block], matrix.spec.theories[theory]
    data, where = _settings(matrix, block, theory)
    bare = _loaded(data, where, matrix)
    _refuse_unloaded(matrix, bare, where)
    refuse_unmeasured(matrix, block, bare.spec, where)
    facts, arms = facts_of(bare.spec, column.phases), _Arms()
    cells = {name: _cell(matrix, block, name, facts, arms) for name in section.manipulations}
    written: dict[str, Any] = {
        name: {**arm, "reference": _reference(name, cells)} for name, arm in arms.made.items()
    }
    grown = _lesions(matrix, block, theory)
    protocol = _loaded({**data, "arms": written | grown}, where, matrix)
    _refuse_unloaded(matrix, protocol, where)
    lesions = {name.removeprefix(f"{LESION}_"): name for name in grown}
    return RunPlan(block, theory, protocol, cells, lesions)


def _refuse_unloaded(matrix: Matrix, protocol: Protocol, where: str) -> None:
    """Refuse code of the user's own that nobody consented to, before anything is run."""
    if protocol.own_code and not matrix.allow_code:
        request = Request.of_matrix(matrix, protocol.own_code)
        raise NeuroAWSError(
            f"names code of your own that was not loaded ({', '.join(request.lines())})",
            where=where,
            next_step="--allow-code loads it (Python: Matrix.load(..., allow_code=True))",
        )


def _reference(arm: str, cells: dict[str, CellPlan]) -> str:
    found = (c.reference for c in cells.values() if c.arm == arm and c.status is Status.MEASURED)
    return next(found, arm if arm == CONTROL else CONTROL)


def _cell(matrix: Matrix, block: str, name: str, facts: Facts, arms: _Arms) -> CellPlan:
    own = matrix.spec.blocks[block].manipulations[name]
    measured = matrix.spec.measured(block, name)
    why = missing((*measured.perturb, *own.under), facts)
    if why:
        return CellPlan(name, Status.NOT_APPLICABLE, why=why)
    perturb, under = narrowed(measured.perturb, facts), narrowed(own.under, facts)
    if not perturb:
        return CellPlan(name, Status.BY_DEFINITION, why="nothing learns there that waking hangs on")
    if unread(measured.value or "", facts):
        return CellPlan(
            name, Status.BY_DEFINITION, why="what is measured is weights that never learn"
        )
    arm, reference = arms.take(name, perturb, under), arms.take(f"{name}_reference", (), under)
    status = Status.AS_WITHOUT if own.of is not None and not under else Status.MEASURED
    why = "what is done beside does nothing here" if status is Status.AS_WITHOUT else ""
    return CellPlan(name, status, arm, reference, why)


def _loaded(data: dict[str, Any], where: str, matrix: Matrix) -> Protocol:
    """Return a protocol of data, its faults as those of the matrix: our own lines say nothing."""
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    try:
        return Protocol.from_text(text, matrix.origin, allow_code=matrix.allow_code)
    except ProtocolError as error:
        ours = re.compile(rf"(?<!\S){re.escape(matrix.origin)}(:\d+)?: ")
        clean = (ours.sub("", fault) for fault in error.faults)
        raise ProtocolError(f"{where}: {fault}" for fault in clean) from error
