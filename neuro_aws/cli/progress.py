"""Progress with time left, and tables, by rich."""

from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from neuro_aws.cli.say import show
from neuro_aws.experiment.workers import Task
from neuro_aws.protocol.cost import Estimate


class Bar:
    """One bar for all animals and arms: steps simulated, time left, branches finished."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.done: dict[Task, int] = {}
        self.steps: dict[Task, int] = {}
        self.bar: Progress | None = None
        self.images_per_step = 0.0
        self.first = 0

    def begin(self, run: Path, expected: Estimate, steps: dict[Task, int]) -> None:
        """Say where the run lies and what it will cost; show the bar."""
        self.steps, self.done = steps, {}
        show(self.console, f"run folder  {run}")
        show(self.console, f"expected    {expected}")
        if not self.console.is_terminal:
            log = run / "run.log"
            show(self.console, f"progress    {log}")
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[rate]} {task.fields[note]}"),
            console=self.console,
        )
        self.bar.start()
        self.row = self.bar.add_task(self._text(), total=sum(steps.values()), rate="", note="")
        self.images_per_step = expected.images_per_step

    def _text(self) -> str:
        ended = sum(n >= self.steps[t] for t, n in self.done.items())
        return f"branches {ended}/{len(self.steps)}, steps"

    def update(self, task: Task, steps: int, note: str) -> None:
        """Move the bar; say how many images a second are seen, and how learning goes."""
        self.done[task] = steps
        assert self.bar is not None
        done = sum(self.done.values())
        self.bar.update(self.row, completed=done, description=self._text())
        if note:
            self.bar.update(self.row, note=note)
        seconds = self.bar.tasks[self.row].elapsed or 0.0
        if seconds > 1:
            rate = self.images_per_step * (done - self.first) / seconds
            self.bar.update(self.row, rate=f"{rate:,.0f} images/s")

    def end(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()


class Counted:
    """One bar for runs that end one after the other, in whatever order."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failed = 0
        self.bar: Progress | None = None

    def begin(self, runs: int) -> None:
        """Show the bar."""
        self.bar = Progress(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
        )
        self.bar.start()
        self.row = self.bar.add_task("runs", total=runs, note="")

    def add(self, well: bool) -> None:
        """Count a run that ended."""
        assert self.bar is not None
        self.failed += not well
        self.bar.update(self.row, advance=1, note=f"{self.failed} failed" if self.failed else "")

    def end(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()
