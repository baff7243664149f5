"""Files that are whole in form and wrong in content: checkpoints with a right seal, HDF5 files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording import checkpoint

DTYPES = ("f2", "f4", "f8", "i8", "u1", "c16", "?", "S3", "U5", "M8[s]", ">f4")
FACTS: tuple[Any, ...] = (
    {"step": "x"},
    {"step": -1},
    {"step": 10**30},
    {"step": 10**9},
    {"step": 3},
    {"step": None},
    {"step": True},
    {"step": [1]},
    {"parts": None},
    {"parts": "x"},
    {"parts": [[]]},
    {"parts": [["../../../outside/canary.txt", 1, "x", 0, 1]]},
    {"parts": [["part_00000.h5", 1, "0" * 64, 0, 1]]},
    {"parts": [["part_00000.h5", -1, "0" * 64, 10**20, -1]]},
    {"parts": []},
    {"format_version": 3},
    {"format_version": "\x1b[2J"},
    {"format_version": [1]},
    {"x" * 5000: 1},
)


def checkpoint_of(path: Path, rng: Random) -> None:
    """Write a checkpoint anew, with a right seal and wrong content."""
    try:
        state, facts = checkpoint.load(path)
    except NeuroAWSError:
        state, facts = {}, {"step": 1, "parts": []}
    state = dict(state)
    names = sorted(state) or ["x"]
    name = rng.choice(names)
    array = state.get(name, np.zeros(3))
    match rng.randrange(10):
        case 0:
            state.pop(name, None)
        case 1:
            state[rng.choice(("extra", "\x1b[2J", "a/b", "x" * 5000))] = array
        case 2:
            state[name] = array.reshape(-1)[: rng.choice((0, 1, max(0, array.size - 1)))]
        case 3:
            state[name] = np.zeros((2, *array.shape), array.dtype)
        case 4:
            state[name] = _as(array, rng.choice(DTYPES))
        case 5:
            state[name] = np.full(array.shape, rng.choice((np.nan, np.inf, 1e300)))
        case 6:
            other = rng.choice(names)
            state[name], state[other] = state.get(other, array), array
        case 7:
            state = {}
        case _:
            facts = facts | rng.choice(FACTS)
    if rng.random() < 0.1:
        facts.pop(rng.choice(sorted(facts)))
    checkpoint.save(path, state, facts)


def _as(array: np.ndarray, dtype: str) -> np.ndarray:
    try:
        return array.astype(dtype)
    except (TypeError, ValueError):
        return np.zeros(array.shape, dtype)


def hdf5_of(path: Path, rng: Random, outside: Path) -> None:
    """Alter the structure of an HDF5 file; one that cannot be opened is written anew."""
    try:
        with h5py.File(path, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            rng.choice(STRUCTURES)(file, rng.choice(names or ["x"]), rng, outside)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        path.unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(3)


def _drop(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    del file[name]


def _loop(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    parent = file[name].parent
    parent[f"loop{rng.randrange(9)}"] = rng.choice((parent, h5py.SoftLink(name), file["/"]))


def _soft(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    del file[name]
    file[name] = h5py.SoftLink(rng.choice((name, "/nowhere", "/")))


def _external(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    del file[name]
    target = rng.choice((outside / "canary.txt", outside / "none.h5", Path(file.filename)))
    file[name] = h5py.ExternalLink(str(target), rng.choice(("/", name, "/x")))


def _group(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    del file[name]
    file.create_group(name)


def _other(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    """Put another array in the place of a dataset or group."""
    del file[name]
    made = (
        np.zeros((0,)),
        np.zeros((3, 2)),
        np.float64(3),
        np.array([b"a", b"\xff\x1b[2J"], "S8"),
        "text \x1b[31m",
        np.zeros(40, "i8"),
        np.full(40, np.nan, "f4"),
        np.full(40, 99, "u1"),
        np.zeros(3, [("a", "f4"), ("b", "i2")]),
    )
    file[name] = rng.choice(made)


def _huge(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    """Declare more rows than any memory holds; nothing of them is stored."""
    del file[name]
    file.create_dataset(name, shape=(10**13,), dtype="f8", chunks=(1000,))


def _objects(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    del file[name]
    kind = rng.choice((h5py.string_dtype(), h5py.vlen_dtype("i4"), h5py.ref_dtype))
    file.create_dataset(name, shape=(4,), dtype=kind)


def _attributes(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    here = rng.choice((file, file[name]))
    for key in list(here.attrs):
        del here.attrs[key]
    for key in ("units", "complete", "format_version"):
        if rng.random() < 0.5:
            here.attrs[key] = rng.choice((np.arange(3), "\x1b[31m", 3, True, h5py.Empty("f4")))


def _shorten(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    data = file[name]
    rows = max(0, len(data) + rng.choice((-1, -5, 7)))
    values = np.resize(data[...], (rows, *data.shape[1:]))
    attributes = dict(data.attrs)
    del file[name]
    file[name] = values
    file[name].attrs.update(attributes)


def _move(file: h5py.File, name: str, rng: Random, outside: Path) -> None:
    file.move(name, rng.choice(("elsewhere", "s0/other", "\x1b[2J", "s99/control", "x" * 500)))


STRUCTURES: tuple[Callable[[h5py.File, str, Random, Path], None], ...] = (
    _drop,
    _loop,
    _soft,
    _external,
    _group,
    _other,
    _other,
    _huge,
    _objects,
    _attributes,
    _attributes,
    _shorten,
    _shorten,
    _move,
)


def swap(one: Path, other: Path) -> None:
    """Let two files change places."""
    aside = one.with_name("aside")
    shutil.move(one, aside)
    shutil.move(other, one)
    shutil.move(aside, other)
