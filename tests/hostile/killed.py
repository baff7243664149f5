"""neuro-aws, killed at a chosen call: ``HOSTILE_KILL="TARGET COUNT before|after self|all"``.

Run as ``python -m tests.hostile.killed run p.yaml``. Worker processes import this file again, so
that they are killed like the first. ``HOSTILE_PACE="STEPS LOOKS"`` says after how many steps the run
looks at the clock, and at which of these looks it saves: the calls of a short run are many, and the
same each time. ``HOSTILE_UNDRAWN=1`` draws no figures.
"""

import functools
import importlib
import os
import signal
from typing import Any

KILL, PACE, UNDRAWN = "HOSTILE_KILL", "HOSTILE_PACE", "HOSTILE_UNDRAWN"


def install(plan: str) -> None:
    """Patch the function that a plan names."""
    target, count, moment, whom = plan.split()
    owner, name = _owner(target)
    found = getattr(owner, name)
    calls = iter(range(1, int(count) + 1))

    @functools.wraps(found)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        last = next(calls, None) == int(count)
        if last and moment == "before":
            _kill(whom)
        done = found(*arguments, **named)
        if last:
            _kill(whom)
        return done

    setattr(owner, name, wrapped)


def _owner(target: str) -> tuple[Any, str]:
    """Return the module or class, and the name in it, of module.function or module.Class.method."""
    *path, name = target.split(".")
    for end in range(len(path), 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(path[:end]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, path[end:], owner), name
    raise LookupError(target)


def _kill(whom: str) -> None:
    """Kill this process; all: of several, the first one before it."""
    if whom == "all" and __name__ != "__main__":
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def pace(steps: int, looks: int) -> None:
    """Look at the clock after so many steps, and save at so many looks."""
    from neuro_aws.experiment import branch

    count = iter(range(1, 2**31))

    def simulated(self: branch.Pace, done: int) -> None:
        self.steps = steps

    def due(self: branch.Pace) -> bool:
        return next(count) % looks == 0

    branch.Pace.simulated = simulated  # type: ignore[method-assign]
    branch.Pace.save_due = property(due)  # type: ignore[assignment,method-assign]


def undrawn() -> None:
    """Draw no figures: most of the time of a short run."""
    from neuro_aws.plots import figures

    figures.draw_run = lambda run: []


if os.environ.get(PACE):
    pace(*map(int, os.environ[PACE].split()))
if os.environ.get(UNDRAWN):
    undrawn()
if os.environ.get(KILL):
    install(os.environ[KILL])

if __name__ == "__main__":
    from neuro_aws.cli import main

    main()
