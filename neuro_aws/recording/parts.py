"""A recording as a row of small finished files, so that a kill at any moment leaves all readable.

A flush writes part k whole (temporary file, then rename) and then the master, whose virtual
datasets show all parts as one; of a single part it is another name. A checkpoint knows the parts
that belong to it (inventory.py); on resumption later ones are dropped. When the run ends, all of it
moves into one plain recording.h5.
Every chunk carries a checksum, so that damage is an error and never another number.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuro_aws.protocol.columns import CHUNK_BYTES, FORMAT_VERSION, INTERVALS, Column
from neuro_aws.recording.hdf5 import DAMAGE, opened_part
from neuro_aws.recording.room import refuse_full

Rows = dict[str, NDArray[Any]]
STREAMED_BYTES = 65536
"""Of a chunk of a dataset that grows."""

DAMAGED_PART = "Restore it from a copy, or simulate the run anew"
MAPPING_BYTES = 400
"""Of one part of one dataset in a master, at most."""


def part_path(folder: Path, index: int) -> Path:
    """Return where part ``index`` of a segment lies."""
    return folder / f"part_{index:05d}.h5"


def parts(folder: Path) -> list[Path]:
    """Return the finished parts of a segment, in order."""
    return sorted(folder.glob("part_*.h5"))


def replace_file(temporary: Path, path: Path) -> None:
    """Put a finished file in its place, durably and in one step."""
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def create(group: h5py.Group, column: Column, rows: NDArray[Any], chunk: int = 1) -> None:
    """Write one dataset with its units and description; extendable, chunks of 1 MB at most.

    ``chunk``: rows that a chunk holds even where fewer are there yet.
    """
    per_chunk = max(1, min(CHUNK_BYTES // max(1, column.row_bytes), 65536))
    dataset = group.create_dataset(
        column.path,
        data=rows.astype(column.dtype, copy=False).reshape(len(rows), *column.shape),
        maxshape=(None, *column.shape),
        chunks=(min(per_chunk, max(chunk, len(rows), 1)), *column.shape),
        fletcher32=True,
    )
    describe(dataset, column)


def describe(dataset: h5py.Dataset, column: Column) -> None:
    """Put units and description on a dataset."""
    dataset.attrs["units"] = column.units
    dataset.attrs["description"] = column.description


class PartWriter:
    """A part under way: rows go to the disk as they come, and count once it is finished."""

    def __init__(self, folder: Path, index: int, columns: Sequence[Column]) -> None:
        self.folder, self.path = folder, part_path(folder, index)
        self.columns = {column.path: column for column in columns}
        self._temporary = self.path.with_suffix(".tmp")
        refuse_full(folder, 0)
        self._file = h5py.File(self._temporary, "w")
        self._file.attrs["format_version"] = FORMAT_VERSION

    def append(self, path: str, rows: NDArray[Any]) -> None:
        """Write rows at the end of a dataset."""
        refuse_full(self.folder, rows.nbytes, self._file.id.get_filesize())
        if path not in self._file:
            column = self.columns[path]
            create(self._file, column, rows, STREAMED_BYTES // column.row_bytes)
            return
        dataset = self._file[path]
        dataset.resize(len(dataset) + len(rows), axis=0)
        dataset[len(dataset) - len(rows) :] = rows

    def lengths(self) -> dict[str, int]:
        """Return how many rows each dataset has so far."""
        return {path: len(self._file[path]) for path in self.columns if path in self._file}

    def cut(self, lengths: dict[str, int]) -> None:
        """Go back to the lengths of an earlier moment."""
        for path in self.lengths():
            self._file[path].resize(lengths.get(path, 0), axis=0)

    def finish(self, rows: Rows) -> int:
        """Add the datasets that were not streamed, bring the master up to date; return all rows."""
        size = sum(found.nbytes for found in rows.values())
        refuse_full(self.folder, size, self._file.id.get_filesize())
        streamed = self.lengths()
        for path, column in self.columns.items():
            if path not in streamed:
                create(self._file, column, rows[path])
            elif len(rows[path]):
                raise ValueError(f"{path} got single rows beside streamed ones")
        written = sum(streamed.values())
        written += sum(len(rows[path]) for path in self.columns if path not in streamed)
        self._file.close()
        replace_file(self._temporary, self.path)
        write_master(self.folder, list(self.columns.values()))
        return written


def drop_after(folder: Path, count: int, columns: Sequence[Column]) -> None:
    """Forget parts that were written after the checkpoint that knows of ``count``."""
    for path in parts(folder)[count:]:
        path.unlink()
    write_master(folder, columns)


def write_master(folder: Path, columns: Sequence[Column]) -> None:
    """Write master.h5: every dataset as one virtual dataset over all parts; none without parts."""
    found = parts(folder)
    master = folder / "master.h5"
    if not found:
        master.unlink(missing_ok=True)
        return
    if len(found) == 1:
        _name_again(found[0], master)
        return
    lengths = []
    for path in found:
        with opened_part(path, DAMAGED_PART) as file:
            lengths.append({column.path: len(file[column.path]) for column in columns})
    refuse_full(folder, MAPPING_BYTES * len(found) * len(columns))
    temporary = folder / "master.tmp"
    with h5py.File(temporary, "w", libver="latest") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        for column in columns:
            total = sum(length[column.path] for length in lengths)
            virtual = h5py.VirtualLayout((total, *column.shape), dtype=column.dtype)
            start = 0
            for path, length in zip(found, lengths, strict=True):
                n = length[column.path]
                if n:
                    virtual[start : start + n] = h5py.VirtualSource(
                        path.name, column.path, (n, *column.shape)
                    )
                start += n
            describe(file.create_virtual_dataset(column.path, virtual), column)
    replace_file(temporary, master)


def _name_again(part: Path, master: Path) -> None:
    """Let the only part be the master as well, under another name; a copy where that cannot be."""
    temporary = master.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(part, temporary)
    except OSError:
        shutil.copyfile(part, temporary)
    replace_file(temporary, master)
    temporary.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing


def gather(folder: Path, columns: Sequence[Column]) -> Rows:
    """Return all rows of a segment's parts."""
    collected: dict[str, list[NDArray[Any]]] = {column.path: [] for column in columns}
    for path in parts(folder):
        with opened_part(path, DAMAGED_PART) as file:
            for column in columns:
                collected[column.path].append(file[column.path][...])
    return {
        column.path: np.concatenate(
            [np.zeros((0, *column.shape), column.dtype), *collected[column.path]]
        )
        for column in columns
    }


def copy_parts(group: h5py.Group, folder: Path, columns: Sequence[Column]) -> None:
    """Write the parts' rows one after the other, never all of them in memory.

    A single part has its datasets as they will be: they are copied as they lie on the disk.
    """
    found = parts(folder)
    if len(found) == 1:
        with opened_part(found[0], DAMAGED_PART) as file:
            for column in columns:
                file.copy(column.path, group, column.path)
        return
    totals: dict[str, int] = dict.fromkeys((column.path for column in columns), 0)
    for path in found:
        with opened_part(path, DAMAGED_PART) as file:
            for name in totals:
                totals[name] += len(file[name])
    for column in columns:
        nothing = np.zeros((0, *column.shape), column.dtype)
        create(group, column, nothing, totals[column.path])
        group[column.path].resize(totals[column.path], axis=0)
    done = dict.fromkeys(totals, 0)
    for path in found:
        with opened_part(path, DAMAGED_PART) as file:
            for name in totals:
                rows = file[name][...]
                group[name][done[name] : done[name] + len(rows)] = rows
                done[name] += len(rows)


def write_index(path: Path, segments: dict[str, Path]) -> None:
    """Write recording.h5 of a run under way: a link to the master of every segment."""
    refuse_full(path.parent, MAPPING_BYTES * len(segments))
    temporary = path.with_suffix(".tmp")
    with h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["complete"] = False
        for name, folder in segments.items():
            target = os.path.relpath(folder / "master.h5", path.parent)
            file[name] = h5py.ExternalLink(target, "/")
    replace_file(temporary, path)


def is_complete(path: Path) -> bool:
    """Say whether a recording.h5 is that of a run whose branches have all come to their ends."""
    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("complete", False))
    except DAMAGE:
        return False


def consolidate(
    path: Path, segments: dict[str, tuple[Path, Sequence[Column]]], attributes: dict[str, str]
) -> None:
    """Write the finished recording.h5: every segment as a plain group of its own."""
    written = sum(part.stat().st_size for folder, _ in segments.values() for part in parts(folder))
    refuse_full(path.parent, written)
    temporary = path.with_suffix(".tmp")
    with h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["complete"] = True
        for key, value in attributes.items():
            file.attrs[key] = value
        for name, (folder, columns) in segments.items():
            group = file.create_group(name)
            tables = [column for column in columns if column.path.startswith("intervals/")]
            copy_parts(group, folder, [column for column in columns if column not in tables])
            rows = gather(folder, tables)
            for table in INTERVALS:
                merge_intervals(rows, f"intervals/{table}")
            for column in tables:
                create(group, column, rows[column.path])
    replace_file(temporary, path)


def merge_intervals(rows: Rows, table: str) -> None:
    """Join intervals that a flush cut in two."""
    start, stop, label = (rows[f"{table}/{key}"] for key in ("start", "stop", "label"))
    kept: list[tuple[int, int, bytes]] = []
    last: dict[bytes, int] = {}
    for a, b, name in zip(start.tolist(), stop.tolist(), label.tolist(), strict=True):
        k = last.get(name)
        if k is not None and kept[k][1] == a:
            kept[k] = (kept[k][0], b, name)
        else:
            last[name] = len(kept)
            kept.append((a, b, name))
    kept.sort()
    rows[f"{table}/start"] = np.array([k[0] for k in kept], "i8")
    rows[f"{table}/stop"] = np.array([k[1] for k in kept], "i8")
    rows[f"{table}/label"] = np.array([k[2] for k in kept], label.dtype)
