"""Every case by its kind and number: nothing else goes into what it does."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.conftest import TINY
from tests.experiment.test_matrix import SMALL
from tests.hostile.assignments import assignments
from tests.hostile.bases import Bases, differences
from tests.hostile.facts import facts
from tests.hostile.folders import Damage, damage
from tests.hostile.invariant import Call, call
from tests.hostile.lines import line, study_line
from tests.hostile.protocols import text
from tests.hostile.worlds import World

RESUMED = ("run", "--resume", "run", "--jobs", "1")
ON_COPIES = (
    ("merge", "run", "../outside/other", "--out", "made/merged"),
    ("export", "run", "--format", "csv", "--out", "made/tables"),
    ("report", "run", "--output", "made/report.html"),
)
"""Commands that make something of a run, which stays as it is."""

ON_RUNS = (
    ("inspect", "run"),
    ("inspect", "run", "--verify"),
    ("inspect", "run", "--datasets"),
    ("plot", "run"),
    ("plot", "run", "--traces", "ach,plasticity", "--out", "made/t.png", "--csv", "made/t.csv"),
    ("evaluate", "run", "--measure", "reconstruction"),
    ("evaluate", "run", "--measure", "ach_gap,diversity,target_cells", "--arm", "control"),
    ("evaluate", "run", "--measure", "spike_rates,spike_targets"),
    ("compare", "run", "../outside/whole"),
    ("compare", "../outside/whole", "run"),
    RESUMED,
    ("run", "--resume", "run", "--jobs", "1", "--accept-loss"),
)
CALLS = 3
"""Commands that are tried on one damaged run."""


@dataclass(frozen=True)
class Case:
    """What is tried, by kind and number."""

    kind: str
    number: int

    @property
    def seed(self) -> str:
        return f"{self.kind}:{self.number}"

    def rng(self) -> Random:
        return Random(self.seed)


@dataclass(frozen=True)
class Ended:
    """How a case ended: refused, accepted, or what did not hold."""

    outcome: str
    faults: tuple[str, ...]
    what: str

    @classmethod
    def of(cls, calls: Sequence[Call], what: str = "", more: Sequence[str] = ()) -> "Ended":
        found = [
            f"{' '.join(one.arguments)[:120]!a}: {fault}; it said: {_last(one)}"
            for one in calls
            for fault in one.faults
        ]
        accepted = any(one.done.returncode == 0 for one in calls)
        outcome = "FAILED" if found or more else "accepted" if accepted else "refused"
        return cls(outcome, (*found, *more), what)


def _last(one: Call) -> str:
    """Return the end of what a call said, fit to be printed anywhere."""
    said = (one.done.stderr or one.done.stdout).strip()
    return ascii(said[-300:])


def protocol(case: Case, folder: Path, _: Bases, *, process: bool = False) -> Ended:
    """Validate a hostile protocol."""
    rng = case.rng()
    return validated(World(folder), text(rng), ["--short"] * (rng.random() < 0.1), process=process)


def validated(
    world: World, data: bytes, more: Sequence[str] = (), *, process: bool = False
) -> Ended:
    """Validate the bytes of a protocol."""
    (world.here / "p.yaml").write_bytes(data)
    return Ended.of([call(world, ("validate", "p.yaml", *more), process=process)])


def assignment(case: Case, folder: Path, _: Bases) -> Ended:
    """Validate a sound protocol with hostile settings."""
    return assigned(World(folder), assignments(case.rng()))


def assigned(world: World, made: Sequence[str]) -> Ended:
    """Validate a sound protocol with these settings."""
    more = [word for one in made for word in ("--set", one)]
    return validated(world, TINY.encode(), more)


def wrong_line(case: Case, folder: Path, bases: Bases, *, process: bool = False) -> Ended:
    """Call a command with wrong arguments."""
    world = World(folder)
    (world.here / "p.yaml").write_text(TINY)
    shutil.copytree(bases.whole("rate"), world.run)
    return Ended.of([call(world, line(case.rng()), process=process)])


def wrong_study(case: Case, folder: Path, bases: Bases) -> Ended:
    """Call a command on many runs, or a report, with wrong arguments."""
    world = World(folder)
    (world.here / "p.yaml").write_text(TINY)
    (world.here / "m.yaml").write_text(SMALL)
    shutil.copytree(bases.whole("rate"), world.run)
    return Ended.of([call(world, study_line(case.rng()))])


def facts_of_a_run(case: Case, folder: Path, bases: Bases) -> Ended:
    """Look at a run and resume it with a hostile provenance.json."""
    sound = json.loads((bases.stopped("rate") / "provenance.json").read_text("utf-8"))
    return told(World(folder), bases, facts(sound, case.rng()))


def told(world: World, bases: Bases, data: bytes) -> Ended:
    """Look at a run that was stopped, and resume it, with these bytes for its provenance.json."""
    shutil.copytree(bases.stopped("rate"), world.run)
    (world.run / "provenance.json").write_bytes(data)
    calls = [
        call(world, ("inspect", "run")),
        call(world, ("run", "--resume", "run", "--jobs", "1")),
    ]
    return Ended.of(calls)


def command(case: Case, folder: Path, bases: Bases) -> Ended:
    """Do one of the others through a process of its own."""
    rng = Random(f"command {case.number}")
    other = rng.choice((protocol, protocol, protocol, wrong_line, _small_run))
    return other(case, folder, bases, process=True)


def _small_run(case: Case, folder: Path, _: Bases, *, process: bool) -> Ended:
    """Run a sound protocol with hostile settings of one kind, too small to take long."""
    rng, world = case.rng(), World(folder)
    (world.here / "p.yaml").write_text(TINY)
    made = [one for one in assignments(rng) if one.startswith(("stimulus", "targets", "arms"))]
    words = [word.replace("\0", "") for one in made for word in ("--set", one[:100_000])]
    out = ("--out", "made", "--jobs", "1", "--seeds", "1")
    return Ended.of([call(world, ("run", "p.yaml", *out, *words), process=process)])


def damaged(case: Case, folder: Path, bases: Bases) -> Ended:
    """Damage a file of a rate run and try commands on it."""
    return _damaged(case, folder, bases, "rate")


def damaged_spiking(case: Case, folder: Path, bases: Bases) -> Ended:
    """Damage a file of a spiking run and try commands on it."""
    return _damaged(case, folder, bases, "spiking")


def damaged_copied(case: Case, folder: Path, bases: Bases) -> Ended:
    """Damage a file of a finished run and make something of it."""
    rng, world = case.rng(), World(folder)
    shutil.copytree(bases.whole("rate"), world.run)
    shutil.copytree(bases.other(), world.outside / "other")
    done = damage(world, rng)
    return Ended.of([call(world, rng.choice(ON_COPIES))], f"{done.file} {done.how}")


def _damaged(case: Case, folder: Path, bases: Bases, backend: str) -> Ended:
    rng, world = case.rng(), World(folder)
    whole = bases.whole(backend)
    stopped = rng.random() < 0.5
    shutil.copytree(bases.stopped(backend) if stopped else whole, world.run)
    shutil.copytree(whole, world.outside / "whole")
    done = damage(world, rng)
    calls: list[Call] = []
    more: list[str] = []
    chosen = [ON_RUNS[i] for i in sorted(rng.sample(range(len(ON_RUNS)), CALLS))]
    for arguments in chosen:
        calls.append(call(world, arguments))
        if calls[-1].done.returncode == 0:
            more += unnoticed(arguments, done, world, whole)
    what = f"{'stopped' if stopped else 'finished'} {done.file} {done.how}"
    return Ended.of(calls, what, more)


def unnoticed(arguments: Sequence[str], done: Damage, world: World, whole: Path) -> list[str]:
    """Return what was accepted though it was altered, after a call that succeeded."""
    if done.sealed and arguments[-1] == "--verify":
        return [f"inspect --verify says that all is whole, but {done.file} is {done.how}"]
    if done.forged or tuple(arguments) != RESUMED:
        return []
    try:
        found = differences(world.run, whole)
    except Exception as error:  # whatever was wrong with it, the run said that it had finished
        found = [ascii(str(error)[:300])]
    return [f"resumed to something else: {found[0]}"] if found else []


Play = Callable[[Case, Path, Bases], Ended]
