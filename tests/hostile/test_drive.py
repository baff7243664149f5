"""The driver of the attack: stopped and called again it plays every case once, and tells what failed."""

import os
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.conftest import ROOT
from tests.hostile.cases import Case
from tests.hostile.drive import attack, main, report
from tests.hostile.journal import Entry, Journal
from tests.hostile.kills import POINTS
from tests.hostile.kinds import KINDS
from tests.hostile.plays import PLAYS
from tests.hostile.shown import Shown

WANTED = {"protocol": 12, "line": 9}


class Played:
    """Plays nothing: notes what it was given, and is stopped or fails where it is told."""

    def __init__(self, stop_at: int = -1, fails: tuple[str, ...] = ()) -> None:
        self.given: list[str] = []
        self.stop_at, self.fails = stop_at, fails

    def __call__(self, cases):
        for kind, number in cases:
            if len(self.given) == self.stop_at:
                raise KeyboardInterrupt
            seed = Case(kind, number).seed
            self.given.append(seed)
            faults = ("exit code 7",) if seed in self.fails else ()
            yield Entry(kind, number, seed, "FAILED" if faults else "refused", 0.1, "", faults)


def call(folder: Path, player: Played) -> tuple[bool, int, str]:
    journal = Journal(folder / "journal.jsonl")
    console = Console(file=StringIO(), width=200)
    whole = attack(journal, WANTED, player, Shown(console, journal, WANTED, 1))
    failed = report(journal, WANTED, console, folder)
    return whole, failed, console.file.getvalue()


def test_a_driver_that_was_stopped_plays_every_case_once(tmp_path):
    first, second, third = Played(stop_at=8), Played(), Played()
    assert not call(tmp_path, first)[0]
    with (tmp_path / "journal.jsonl").open("a") as handle:
        handle.write('{"kind": "line", "number": 5, "se')  # killed while it wrote
    assert call(tmp_path, second)[0]
    every = [f"{kind}:{number}" for kind, count in WANTED.items() for number in range(count)]
    assert first.given + second.given == every
    whole, failed, said = call(tmp_path, third)
    assert (whole, failed, third.given) == (True, 0, [])
    assert re.search(r"protocol\W+12\W+12\W+0\W+12 refused", said)


def test_a_failure_is_told_with_what_plays_it_again(tmp_path):
    _, failed, said = call(tmp_path, Played(fails=("line:3",)))
    assert failed == 1
    assert "exit code 7" in said
    assert f"python -m tests.hostile.drive {tmp_path} --only line:3" in said
    assert (
        report(Journal(tmp_path / "journal.jsonl"), {"line": 3}, Console(file=StringIO()), tmp_path)
        == 0
    )


def test_every_kind_can_be_played_and_asked_for():
    assert set(PLAYS) == set(KINDS)
    asked = {option for parameter in main.params for option in parameter.opts}
    assert {f"--{kind.option}" for kind in KINDS.values()} <= asked


def test_every_point_of_a_kill_is_a_function_that_is_there():
    from tests.hostile.killed import _owner

    for targets in POINTS.values():
        for target in targets:
            owner, name = _owner(target)
            assert callable(getattr(owner, name)), target


def drive(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.drive", str(folder), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_a_driver_that_was_killed_goes_on(tmp_path):
    process = drive(tmp_path, "--assignments", "300", "--jobs", "2")
    path = tmp_path / "journal.jsonl"
    while not path.exists() or len(path.read_bytes().splitlines()) < 20:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = len(path.read_bytes().splitlines())
    assert before < 300
    out, _ = drive(tmp_path, "--assignments", "300", "--jobs", "2").communicate(timeout=300)
    lines = path.read_bytes().splitlines()
    assert len(lines) == 300, out
    assert len(Journal(path).missing("assignment", 300)) == 0


@pytest.mark.slow
def test_the_full_attack_finds_nothing(tmp_path):
    """Hours: 20,000 protocols, 500 commands, 300 kills, 1,000 damaged files and more."""
    process = drive(tmp_path)
    out, _ = process.communicate()
    assert process.returncode == 0, out
