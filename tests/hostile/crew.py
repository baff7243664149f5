"""Processes that play cases: one that dies or does not come to an end costs its case alone."""

import multiprocessing as mp
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.hostile.journal import Entry
from tests.hostile.kinds import KINDS

MOST_MEMORY = 8 << 30
"""Bytes that a process may ask for beyond what it starts with."""

CASES = 400
"""After so many a process is replaced by a new one: drawing and HDF5 leave things behind."""


class Hand:
    """One process, and the case it is at."""

    def __init__(self, folder: Path) -> None:
        context = mp.get_context("spawn")
        self.link, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, folder))
        self.process.start()
        theirs.close()
        self.at: tuple[str, int] | None = None
        self.since, self.played = 0.0, 0

    def give(self, kind: str, number: int) -> None:
        self.at, self.since = (kind, number), time.monotonic()
        self.played += 1
        self.link.send((kind, number))

    @property
    def overdue(self) -> bool:
        return self.at is not None and time.monotonic() - self.since > KINDS[self.at[0]].most

    def lost(self, why: str) -> Entry:
        """Return what is noted of a case whose process has gone."""
        assert self.at is not None
        kind, number = self.at
        seconds = round(time.monotonic() - self.since, 1)
        return Entry(kind, number, f"{kind}:{number}", "FAILED", seconds, "", (why,))

    def end(self) -> None:
        self.link.close()
        if self.at is not None:
            self.process.terminate()
        self.process.join(5)
        self.process.kill()


def _work(link: Connection, folder: Path) -> None:
    """Play what comes until nothing more does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ["NEURO_AWS_CACHE"] = str(folder / "cache")
    os.environ["NEURO_AWS_CONFIG"] = str(folder / "config")
    from tests.hostile.bases import Bases
    from tests.hostile.cases import Case
    from tests.hostile.plays import play

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    place = folder / "playing" / str(os.getpid())
    with suppress(EOFError, BrokenPipeError):
        while True:
            kind, number = link.recv()
            link.send(play(Case(kind, number), place, Bases(folder / "bases")))


def played(folder: Path, cases: Iterator[tuple[str, int]], jobs: int) -> Iterator[Entry]:
    """Yield how each of some cases ended, as they end; stop handing out when closed."""
    hands: list[Hand] = []
    try:
        while True:
            for hand in [h for h in hands if h.at is None and h.played >= CASES]:
                hand.end()
                hands.remove(hand)
            idle = [h for h in hands if h.at is None]
            case = next(cases, None) if idle or len(hands) < jobs else None
            if case is not None:
                if not idle:
                    hands.append(Hand(folder))
                    idle = hands[-1:]
                idle[0].give(*case)
                continue
            busy = [h for h in hands if h.at is not None]
            if not busy:
                return
            yield from _ended(hands, busy)
    finally:
        for hand in hands:
            hand.end()


def _ended(hands: list[Hand], busy: list[Hand]) -> Iterator[Entry]:
    """Wait a moment; yield the cases that came to an end, and those whose process did not."""
    ready = wait([hand.link for hand in busy], timeout=1.0)
    for hand in busy:
        try:
            entry = hand.link.recv() if hand.link in ready else None
        except (EOFError, ConnectionResetError):
            hand.process.join(5)
            entry = hand.lost(f"the process ended with {hand.process.exitcode}")
            hands.remove(hand)
        if entry is None and hand.overdue:
            entry = hand.lost("did not come to an end")
            hand.end()
            hands.remove(hand)
        if entry is not None:
            hand.at = None
            yield entry
