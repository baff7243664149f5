"""What of a run is exported, and into which files: whole ones, in place of none that are there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from neuro_aws.errors import NeuroAWSError, clipped, in_a_line
from neuro_aws.recording.parts import replace_file
from neuro_aws.recording.reader import Run


@dataclass(frozen=True)
class Chosen:
    """Some animals and arms of a run."""

    run: Run
    animals: tuple[int, ...]
    arms: tuple[str, ...]

    @property
    def branches(self) -> list[str]:
        """The branches that lead to these arms, those that several share once, trunks first."""
        found = [self.run.branches(self.animals[0], arm) for arm in self.arms]
        return list(dict.fromkeys([names[0] for names in found] + [names[-1] for names in found]))


def choose(run: Run, animal: int | None, arm: str | None) -> Chosen:
    """Return one animal or all, one arm or all; refuse what the run has not."""
    if animal is not None and animal not in run.animals:
        raise NeuroAWSError(
            f"no animal {animal}",
            where="--animal",
            next_step="Animals: " + clipped(", ".join(map(str, run.animals)), 400),
        )
    if arm is not None and arm not in run.arms:
        raise NeuroAWSError(
            f"no arm {clipped(arm)!r}",
            where="--arm",
            next_step="Arms: " + clipped(", ".join(run.arms), 400),
        )
    animals = run.animals if animal is None else [animal]
    return Chosen(run, tuple(animals), tuple(run.arms if arm is None else [arm]))


def intervals(run: Run, animal: int, arm: str, table: str) -> pd.DataFrame:
    """Return a table of intervals, empty where nothing of it is recorded."""
    held = {path for path, *_ in run.datasets(animal, arm, "intervals")}
    if f"intervals/{table}/label" not in held:
        return pd.DataFrame({"start": [], "stop": [], "label": []})
    return run.intervals(animal, arm, table)


def steps_recorded(run: Run, animal: int, arm: str) -> int:
    """Return the first step after all that is recorded of an arm and its trunk; 0: nothing is."""
    stops = intervals(run, animal, arm, "phases")["stop"]
    return int(stops.max()) if len(stops) else 0


def require(modules: tuple[str, ...], extra: str) -> None:
    """Refuse what needs a library that is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise NeuroAWSError(
            f"needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed",
            where="export",
            next_step=f"pip install 'neuro-aws[{extra}]'",
        )


def refuse_existing(paths: list[Path]) -> None:
    """Refuse to write over a file."""
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise NeuroAWSError(
            f"is there already{more}; nothing was written",
            where=str(there[0]),
            next_step="Give another --out, or remove it",
        )


@contextmanager
def made(path: Path) -> Iterator[Path]:
    """Give a name to write to; the finished file takes its place, an unfinished one goes."""
    temporary = path.with_name(f"unfinished_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        refuse_existing([path])
        replace_file(temporary, path)
    except OSError as error:
        raise NeuroAWSError(
            f"cannot be written ({in_a_line(error)})", where=str(path), next_step="Give --out"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
