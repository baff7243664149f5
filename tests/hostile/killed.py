"""neuro-aws, killed at a chosen call: ``HOSTILE_KILL="TARGET COUNT before|after self|all"``.

Run as ``python -m tests.hostile.killed run p.yaml``. Worker processes import this file again, so
that they are killed like the first. A look at the clock after every step, and a save at every
fifth look, make the calls of a short run many and the same each time.
"""

import functools
import importlib
import os
import signal
from collections.abc import Callable
from typing import Any

VARIABLE = "HOSTILE_KILL"
SAVE_EVERY = 5
"""Looks at the clock between two saves."""


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


def hurry() -> None:
    """Look at the clock after every step and save at every fifth look."""
    from neuro_aws.experiment import branch

    looks = iter(range(1, 2**31))
    due: Callable[[object], bool] = lambda pace: next(looks) % SAVE_EVERY == 0  # noqa: E731
    branch.REPORT_SECONDS = 0.0
    branch.Pace.save_due = property(due)  # type: ignore[assignment,method-assign]


hurry()
if os.environ.get(VARIABLE):
    install(os.environ[VARIABLE])

if __name__ == "__main__":
    from neuro_aws.cli import main

    main()
