"""Gathers rows and the tables that every recording has; flushes them as parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.protocol.columns import Column
from neuro_aws.recording.inventory import Part, part_of
from neuro_aws.recording.parts import PartWriter, Rows

FLUSH_BYTES = 8_000_000
"""Rows are written once so many bytes of them wait, or when the state is saved."""


@dataclass(frozen=True)
class Mark:
    """A moment in the recording of a part: how long each dataset was, and what lasted."""

    streamed: dict[str, int]
    rows: dict[str, int]
    blocks: dict[str, int]
    lasting: dict[str, dict[str, tuple[int, int]]]


class Writer:
    """The recording of one branch of one animal, whatever its columns are."""

    keeps = True
    """Whether what is put here is kept at all."""

    def __init__(
        self, folder: Path, columns: Sequence[Column], known: Sequence[Part], step: int
    ) -> None:
        self.folder = folder
        self.columns = columns
        self.known = list(known)
        """The parts written so far."""
        self._begun = step
        self._types = {column.path: column.dtype for column in columns}
        self.forget()
        self._part: PartWriter | None = None
        self._open: dict[str, dict[str, tuple[int, int]]] = {"phases": {}, "perturbations": {}}
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, path: str, value: Any) -> None:
        """Append one row to a dataset."""
        self._rows[path].append(value)
        self.bytes += getattr(value, "nbytes", 8)

    def put_many(self, path: str, rows: NDArray[Any]) -> None:
        """Append a copy of many rows at once, to a dataset that gets no single ones."""
        kept = np.array(rows, dtype=self._types[path])
        self._blocks[path].append(kept)
        self.bytes += kept.nbytes

    def extend(self, path: str, rows: NDArray[Any]) -> None:
        """Write many rows to the disk at once, into a dataset that gets no single ones."""
        self._under_way().append(path, rows)

    def mark(self) -> Mark:
        """Return how far the part under way has come."""
        return Mark(
            self._under_way().lengths(),
            {path: len(rows) for path, rows in self._rows.items()},
            {path: len(blocks) for path, blocks in self._blocks.items()},
            {table: dict(lasting) for table, lasting in self._open.items()},
        )

    def back_to(self, mark: Mark) -> None:
        """Forget what has been recorded since an earlier moment of the same part."""
        self._under_way().cut(mark.streamed)
        for path, length in mark.rows.items():
            del self._rows[path][length:]
        for path, length in mark.blocks.items():
            del self._blocks[path][length:]
        self._open = {table: dict(lasting) for table, lasting in mark.lasting.items()}

    def _under_way(self) -> PartWriter:
        if self._part is None:
            self._part = PartWriter(self.folder, len(self.known), self.columns)
        return self._part

    def measured(
        self, step: int, period: str, cycle: int, name: str, layer: int, group: str, value: float
    ) -> None:
        """Append a row to the table of measures."""
        self.put("metrics/step", step)
        self.put("metrics/period", period.encode())
        self.put("metrics/cycle", cycle)
        self.put("metrics/name", name.encode())
        self.put("metrics/layer", layer)
        self.put("metrics/group", group.encode())
        self.put("metrics/value", value)

    def interval(self, table: str, start: int, stop: int, label: str) -> None:
        """Record that something lasted from ``start`` up to, not including, ``stop``."""
        open_ = self._open[table]
        if label in open_ and open_[label][1] == start:
            open_[label] = (open_[label][0], stop)
            return
        self._close(table, label)
        open_[label] = (start, stop)

    def intervals(
        self, table: str, label: str, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> None:
        """Record that something lasted several times, one after the other and never on end."""
        if not len(starts):
            return
        first, last = starts.tolist(), stops.tolist()
        self.interval(table, first[0], last[0], label)
        if len(first) == 1:
            return
        self._close(table, label)
        here, over = f"intervals/{table}", len(first) - 2
        self._rows[f"{here}/start"] += first[1:-1]
        self._rows[f"{here}/stop"] += last[1:-1]
        self._rows[f"{here}/label"] += [_text(label)] * over
        self.bytes += 24 * over
        self._open[table][label] = (first[-1], last[-1])

    def _close(self, table: str, label: str) -> None:
        interval = self._open[table].pop(label, None)
        if interval is not None:
            self.put(f"intervals/{table}/start", interval[0])
            self.put(f"intervals/{table}/stop", interval[1])
            self.put(f"intervals/{table}/label", _text(label))

    def _sort(self, table: str) -> None:
        columns = [f"intervals/{table}/{key}" for key in ("start", "stop", "label")]
        rows = sorted(zip(*(self._rows[c] for c in columns), strict=True))
        for k, column in enumerate(columns):
            self._rows[column] = [row[k] for row in rows]

    def flush(self, step: int) -> None:
        """Write all rows gathered before ``step`` as one part.

        What lasts is cut here, and joined later.
        """
        for table, lasting in self._open.items():
            for label in list(lasting):
                self._close(table, label)
            self._sort(table)
        rows: Rows = {column.path: self._gathered(column) for column in self.columns}
        part = self._under_way()
        written = part.finish(rows)
        self.known.append(part_of(part.path, written, self._begun, step))
        self._part, self._begun = None, step
        self.forget()

    def _gathered(self, column: Column) -> NDArray[Any]:
        """Return the rows of one dataset."""
        single, blocks = self._rows[column.path], self._blocks[column.path]
        if single and blocks:
            raise ValueError(f"{column.path} got single rows beside blocks of them")
        rows = np.concatenate(blocks) if blocks else np.asarray(single, dtype=column.dtype)
        return rows.reshape(-1, *column.shape)

    def forget(self) -> None:
        """Drop the rows gathered so far."""
        self._rows: dict[str, list[Any]] = {column.path: [] for column in self.columns}
        self._blocks: dict[str, list[NDArray[Any]]] = {c.path: [] for c in self.columns}
        self.bytes = 0

    @property
    def full(self) -> bool:
        """Say whether enough has been gathered to be written."""
        return self.bytes >= FLUSH_BYTES


def _text(label: str) -> bytes:
    return label.encode("ascii", "backslashreplace")[:120]


class Discard(Writer):
    """A recording that is not kept: of a process that does not write, of a session in Python."""

    keeps = False

    def __init__(self) -> None:
        self.known, self.bytes = [], 0

    def put(self, path: str, value: Any) -> None:
        """Do nothing."""

    def put_many(self, path: str, rows: NDArray[Any]) -> None:
        """Do nothing."""

    def extend(self, path: str, rows: NDArray[Any]) -> None:
        """Do nothing."""

    def mark(self) -> Mark:
        """Return a mark of nothing."""
        return Mark({}, {}, {}, {})

    def back_to(self, mark: Mark) -> None:
        """Do nothing."""

    def interval(self, table: str, start: int, stop: int, label: str) -> None:
        """Do nothing."""

    def intervals(
        self, table: str, label: str, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> None:
        """Do nothing."""

    def flush(self, step: int) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""
