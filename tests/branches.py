"""One branch of one animal, run without the folder of a whole run: for tests of the run loop."""

from pathlib import Path

from neuro_aws.backends.base import make
from neuro_aws.experiment.branch import Branch, Pace
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.recording.checkpoint import Place


class OneStep(Pace):
    """Looks at the clock after every step, and saves at its own rate."""

    def simulated(self, steps: int) -> None:
        self.steps = 1

    def saved(self, began: float) -> None:
        super().saved(began)
        self.pause = self.save_seconds


def branch(protocol: Protocol, folder: Path, name: str = TRUNK, pace: Pace | None = None) -> Branch:
    made = Branch(protocol, Place(folder, 0, name), make(protocol, name, 0), save_seconds=1e9)
    if pace is not None:
        made._pace = pace
    return made


def finish(one: Branch) -> Branch:
    assert one.run(lambda: False, lambda steps, status: None)
    return one


def stop(one: Branch, at: int) -> Branch:
    """Run it until it has made so many steps."""
    assert not one.run(lambda: one.step >= at, lambda steps, status: None)
    return one
