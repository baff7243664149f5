"""The parts of a recording as a checkpoint knows them: which there are, and that they are whole.

A part that has gone or was altered is named; where its loss is accepted, an empty one stands in for
it and says in the table ``intervals/losses`` which steps are missing.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.columns import Column
from neuro_aws.recording.parts import PartWriter, Rows, part_path

LOSSES = "intervals/losses"


@dataclass(frozen=True)
class Part:
    """A finished part: rows of all its datasets, and the steps ``start`` ... ``stop`` - 1."""

    name: str
    rows: int
    sha256: str
    start: int
    stop: int


def part_of(path: Path, rows: int, start: int, stop: int) -> Part:
    """Return a part that has just been written."""
    return Part(path.name, rows, _sha256(path), start, stop)


def facts_of(known: Sequence[Part]) -> list[tuple[Any, ...]]:
    """Return parts as the facts of a checkpoint hold them."""
    return [astuple(part) for part in known]


def known_parts(facts: dict[str, Any], where: Path) -> list[Part]:
    """Return the parts that belong to a checkpoint."""
    try:
        known = [Part(*map(_same, (str, int, str, int, int), part)) for part in facts["parts"]]
        if [part.name for part in known] != [part_path(where, k).name for k in range(len(known))]:
            raise ValueError("parts are not numbered")
    except (KeyError, TypeError, ValueError) as error:
        raise NeuroAWSError(
            f"does not say which parts it has ({error})", where=str(where)
        ) from error
    return known


def _same(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r}")
    return value


def faults(folder: Path, known: Sequence[Part]) -> Iterator[tuple[int, str]]:
    """Yield the index of each part that is not as it was written, and what happened to it."""
    for index, part in enumerate(known):
        path = folder / part.name
        if not path.is_file():
            yield index, "is missing"
        elif _sha256(path) != part.sha256:
            yield index, "was cut or altered"


def give_up(folder: Path, index: int, part: Part, why: str, columns: Sequence[Column]) -> Part:
    """Put an empty part in the place of one that is gone; it names the steps that went with it."""
    rows: Rows = {c.path: np.zeros((0, *c.shape), c.dtype) for c in columns}
    label = f"{part.name} {why}".encode()
    lost = {"start": part.start, "stop": part.stop, "label": label}
    for key, value in lost.items():
        here = rows[f"{LOSSES}/{key}"]
        rows[f"{LOSSES}/{key}"] = np.array([value], here.dtype)
    writer = PartWriter(folder, index, columns)
    written = writer.finish(rows)
    return part_of(writer.path, written, part.start, part.stop)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
