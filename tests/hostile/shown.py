"""How far an attack has come: a bar on a terminal, else a line now and then."""

import time
from datetime import timedelta
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tests.hostile.journal import Journal
from tests.hostile.kinds import KINDS

LINE_SECONDS = 30.0
"""Between two lines, where there is no terminal."""

DRAW_SECONDS = 0.5
"""Between two counts."""


class Shown:
    """Shows how many cases are done, how many failed, and the time that is left."""

    def __init__(
        self, console: Console, journal: Journal, wanted: dict[str, int], jobs: int
    ) -> None:
        self.console, self.wanted, self.jobs = console, wanted, jobs
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.task = self.bar.add_task("", total=sum(wanted.values()))
        self.said, self.drawn = time.monotonic(), 0.0
        self.update(journal)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def update(self, journal: Journal) -> None:
        """Show what a journal holds by now."""
        if time.monotonic() - self.drawn < DRAW_SECONDS:
            return
        self.drawn = time.monotonic()
        done = sum(n < self.wanted.get(kind, 0) for kind, n in journal.entries)
        failed = sum(entry.failed for entry in journal.entries.values())
        text = f"{failed} failed, {timedelta(seconds=round(self._left(journal)))} left"
        self.bar.update(self.task, completed=done, description=text)
        if not self.console.is_terminal and time.monotonic() - self.said > LINE_SECONDS:
            self.said = time.monotonic()
            self.console.print(f"{done} of {sum(self.wanted.values())} cases, {text}")

    def _left(self, journal: Journal) -> float:
        """Return the seconds that are left, by what a case of each kind took so far."""
        seconds = 0.0
        for kind, count in self.wanted.items():
            took = [e.seconds for e in journal.entries.values() if e.kind == kind]
            mean = sum(took) / len(took) if took else KINDS[kind].seconds
            seconds += mean * (count - min(count, len(took)))
        return seconds / self.jobs
