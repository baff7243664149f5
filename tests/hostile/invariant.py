"""What holds for every call, whatever it is given: `faults` names what does not."""

import faulthandler
import os
import re
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.calls import Done, command
from tests.conftest import ROOT
from tests.hostile.worlds import World, changes

MOST_TEXT = 2000
"""Bytes that a refusal may say."""

MOST_SECONDS = 5.0
"""Of computing, for what is refused and for what only looks."""

WORK_SECONDS = 30.0
"""Of computing, where a run was simulated, drawn or measured."""

HANG_SECONDS = 60.0
WORKING = ("run", "plot", "evaluate", "export", "report", "sweep", "merge", "matrix")
READING = ("validate", "inspect", "compare", "list", "check-algorithm")
"""Commands that write nothing at all."""

UNFORESEEN = re.compile(r"unexpected [A-Z]\w* ?(in|:)|unexpected \w*(Error|Exception|Warning)")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TookTooLong(BaseException):
    """Raised by the alarm; no handler of ordinary errors takes it for one."""


@dataclass(frozen=True)
class Call:
    """One call and how it ended."""

    arguments: tuple[str, ...]
    done: Done
    seconds: float
    faults: tuple[str, ...]


def call(world: World, arguments: Sequence[str], *, process: bool = False) -> Call:
    """Call ``neuro-aws ARGUMENTS`` in a world, here or in a process; say what did not hold."""
    name = next((a for a in arguments if not a.startswith("-")), "")
    also_run = name in READING
    before = world.snapshot(also_run=also_run)
    began = _computed()
    done = _in_process(world, arguments) if process else _here(world, arguments)
    seconds = _computed() - began
    limit = WORK_SECONDS if name in WORKING and done.returncode == 0 else MOST_SECONDS
    found = [*faults(done)]
    if seconds > limit:
        found.append(f"took {seconds:.1f} s")
    altered = changes(before, world.snapshot(also_run=also_run))
    if altered:
        found.append(f"altered {', '.join(altered[:4])}")
    return Call(tuple(arguments), done, seconds, tuple(found))


def faults(done: Done) -> Iterator[str]:
    """Yield what a call should not have said, or how it should not have ended."""
    said = done.stdout + done.stderr
    if done.returncode not in (0, 1):
        yield f"exit code {done.returncode}"
    if done.returncode == 1 and len(said.encode("utf-8", "surrogatepass")) > MOST_TEXT:
        yield f"{len(said)} characters of refusal"
    if done.returncode == 1 and not done.stderr.strip():
        yield "refused without a word"
    if "Traceback (most recent call last)" in said:
        yield "a traceback"
    if UNFORESEEN.search(said):
        yield "an error that nobody foresaw"
    if "out of memory:" in said:
        yield "out of memory"
    if found := CONTROL.search(said):
        yield f"control character {found[0]!r}"
    if re.search("[\ud800-\udfff]", done.stdout):
        yield "half a character, which no stream takes"


def _here(world: World, arguments: Sequence[str]) -> Done:
    try:
        with limited(HANG_SECONDS):
            return command(*arguments, cwd=world.here)
    except TookTooLong:
        return Done(-1, "", f"still at it after {HANG_SECONDS:.0f} s")
    except Exception:  # whatever comes up to here would have been shown to the user
        return Done(-1, "", traceback.format_exc())


def _in_process(world: World, arguments: Sequence[str]) -> Done:
    words = [sys.executable, "-m", "neuro_aws", *arguments]
    place = {"PYTHONPATH": str(ROOT), "COLUMNS": "140", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            words,
            cwd=world.here,
            env=os.environ | place,
            capture_output=True,
            timeout=HANG_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Done(-1, "", f"still at it after {HANG_SECONDS:.0f} s")
    out, err = (text.decode("utf-8", "surrogateescape") for text in (ended.stdout, ended.stderr))
    return Done(ended.returncode, out, err)


def _computed() -> float:
    """Return the seconds that this process and those it waited for have computed."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer; end the process where it cannot be interrupted."""

    def ring(number: int, frame: object) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
