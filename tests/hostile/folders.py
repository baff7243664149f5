"""Damage to a run folder: one file of it is cut, altered, replaced, crafted or lost."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.hostile.crafted import checkpoint_of, hdf5_of, swap
from tests.hostile.facts import facts
from tests.hostile.protocols import text
from tests.hostile.worlds import World

BLOCK = 512


@dataclass(frozen=True)
class Damage:
    """What was done to which file of the run folder."""

    how: str
    file: str
    sealed: bool
    """Whether bytes of a file that has a checksum were altered: it must not go unnoticed."""
    forged: bool
    """Whether somebody made it look right: a run that goes on may come to something else."""


def damage(world: World, rng: Random) -> Damage:
    """Damage one file of ``world.run``."""
    if rng.random() < 0.08:
        how = rng.choice(tuple(ADDITIONS))
        return Damage(how, ADDITIONS[how](world, rng), sealed=False, forged=False)
    path = _chosen(world.run, rng)
    known = path.read_bytes()
    ways = {**OF_BYTES, **OF_KIND}
    fitting = _content(path, world)
    how = rng.choice((*OF_BYTES, *OF_KIND, *(5 * list(fitting))))
    if how in fitting:
        fitting[how](path, rng)
    else:
        ways[how](path, rng, world)
    name = str(path.relative_to(world.run))
    same = path.is_file() and not path.is_symlink() and path.read_bytes() == known
    sealed = name.endswith(".npz") or (name.startswith("parts/") and "part_" in name)
    forged = how in fitting or name == "provenance.json"
    return Damage(how, name, sealed and how in OF_BYTES and not same, forged)


def _chosen(run: Path, rng: Random) -> Path:
    """Choose a kind of file first: there are many parts and one recording."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(run.rglob("*")):
        if path.is_file():
            kind = path.suffix if path.parent != run else path.name
            kinds.setdefault(kind, []).append(path)
    weights = {"provenance.json": 2, "protocol.yaml": 2, "recording.h5": 4, ".npz": 4, ".h5": 3}
    names = sorted(kinds)
    (kind,) = rng.choices(names, [weights.get(name, 1) for name in names])
    return rng.choice(kinds[kind])


def _content(path: Path, world: World) -> dict[str, Callable[[Path, Random], None]]:
    """Return what fits a file by its kind."""
    if path.name == "provenance.json":
        return {
            "other facts": lambda p, rng: _write(p, facts(json.loads(p.read_text("utf-8")), rng))
        }
    if path.suffix == ".yaml":
        return {"other text": lambda p, rng: _write(p, text(rng))}
    if path.suffix == ".npz":
        return {"another state": checkpoint_of}
    if path.suffix == ".h5":
        return {"another structure": lambda p, rng: hdf5_of(p, rng, world.outside)}
    return {}


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _cut(path: Path, rng: Random, world: World) -> None:
    size = path.stat().st_size
    os.truncate(path, rng.choice((0, rng.randrange(size + 1), max(0, size - 1))))


def _flip(path: Path, rng: Random, world: World) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 1, 20)) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _zero(path: Path, rng: Random, world: World) -> None:
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data) // BLOCK + 1) * BLOCK
    data[start : start + BLOCK] = bytes(len(data[start : start + BLOCK]))
    path.write_bytes(data)


def _lengthen(path: Path, rng: Random, world: World) -> None:
    with path.open("ab") as handle:
        handle.write(rng.choice((b"\0", b"\xff" * 4096, b"\n[", b"{}")))


def _random(path: Path, rng: Random, world: World) -> None:
    path.write_bytes(bytes(rng.choices(range(256), k=rng.choice((1, 40, 5000)))))


def _swap(path: Path, rng: Random, world: World) -> None:
    others = sorted(p for p in world.run.rglob("*") if p.is_file() and p != path)
    swap(path, rng.choice(others))


def _remove(path: Path, rng: Random, world: World) -> None:
    path.unlink()


OF_BYTES: dict[str, Callable[[Path, Random, World], None]] = {
    "cut": _cut,
    "flipped": _flip,
    "zeroed": _zero,
    "lengthened": _lengthen,
    "random": _random,
}


def _folder(path: Path, rng: Random, world: World) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path, rng: Random, world: World) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path, rng: Random, world: World) -> None:
    """Put a link to what lies outside, to nothing or to itself in its place."""
    content = path.read_bytes()
    path.unlink()
    twin = world.outside / f"twin{path.suffix}"
    twin.write_bytes(content)
    targets = (twin, world.outside / "canary.txt", world.outside / "none", path, world.outside)
    path.symlink_to(rng.choice(targets))


def _linked_folder(path: Path, rng: Random, world: World) -> None:
    """Put a link to a folder outside in the place of the folder that the file lies in."""
    if path.parent == world.run:
        _link(path, rng, world)
        return
    target = world.outside / "twins"
    shutil.move(path.parent, target)
    path.parent.symlink_to(target)


OF_KIND: dict[str, Callable[[Path, Random, World], None]] = {
    "removed": _remove,
    "swapped": _swap,
    "a folder": _folder,
    "a pipe": _fifo,
    "a link": _link,
    "a linked folder": _linked_folder,
}


def _planted_link(world: World, rng: Random) -> str:
    """Put a link where a command is going to write."""
    names = (
        "evaluation.csv",
        "evaluation.json",
        "figures",
        "run.lock",
        "run.log",
        "provenance.tmp",
    )
    names += ("recording.tmp", "metrics.csv", "figures/outcomes.png", "parts", "metrics.json")
    path = world.run / rng.choice(names)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    targets = (world.outside / "canary.txt", world.outside / "new", world.outside / "deep")
    path.symlink_to(rng.choice(targets))
    return path.name


def _planted_folder(world: World, rng: Random) -> str:
    names = ("evaluation.csv", "provenance.tmp", "recording.tmp", "run.log", "run.lock")
    path = world.run / rng.choice(names)
    path.unlink(missing_ok=True)
    path.mkdir()
    return path.name


def _planted_file(world: World, rng: Random) -> str:
    """Put a file where none belongs, or where there should be a folder."""
    places = ("figures", "parts", "checkpoints/s0/control.best.npz", "checkpoints/s0/x.npz")
    places += ("checkpoints/s0/control.00000005.npz", "parts/s0/control/part_00099.h5")
    path = world.run / rng.choice(places)
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not what you think \x1b[2J")
    return str(path.relative_to(world.run))


ADDITIONS: dict[str, Callable[[World, Random], str]] = {
    "a link planted": _planted_link,
    "a folder planted": _planted_folder,
    "a file planted": _planted_file,
}
