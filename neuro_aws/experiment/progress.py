"""Reports of how far a run has come."""

from pathlib import Path
from typing import Protocol as Interface

from neuro_aws.experiment.workers import Task
from neuro_aws.protocol.cost import Estimate


class Progress(Interface):
    """Receives how far a run has come."""

    def begin(self, run: Path, expected: Estimate, steps: dict[Task, int]) -> None:
        """The run starts; ``steps`` are what each task will take."""
        ...

    def update(self, task: Task, steps: int, note: str) -> None:
        """So many steps of a task have been simulated; ``note`` says how learning goes."""
        ...

    def end(self) -> None:
        """The run has ended, one way or another."""
        ...


class Silent:
    """Reports nothing."""

    def begin(self, run: Path, expected: Estimate, steps: dict[Task, int]) -> None:
        """Do nothing."""

    def update(self, task: Task, steps: int, note: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
