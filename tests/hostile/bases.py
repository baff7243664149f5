"""Sound run folders to damage: finished and stopped, made once."""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pandas as pd

from neuro_aws import Options, Run, open_run, run
from neuro_aws.experiment.run import Stopped
from neuro_aws.protocol import Protocol
from neuro_aws.recording import checkpoint
from tests.conftest import TINY
from tests.spiking import TEXT as SPIKING

TEXTS = {"rate": TINY, "spiking": SPIKING}


class StopIn:
    """Presses Ctrl-C once a branch has been simulated so far."""

    def __init__(self, branch: str, steps: int) -> None:
        self.branch, self.steps = branch, steps

    def begin(self, *_: object) -> None: ...

    def update(self, task, steps: int, note: str) -> None:
        if task.branch == self.branch and steps >= self.steps:
            os.kill(os.getpid(), signal.SIGINT)

    def end(self) -> None: ...


class Bases:
    """The sound run folders under one folder, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def whole(self, backend: str) -> Path:
        """Return a run that has finished."""
        return self._made(f"{backend}_whole", lambda out: _finished(backend, out))

    def other(self) -> Path:
        """Return a finished rate run of another animal."""
        return self._made("rate_other", lambda out: _finished("rate", out, animal=1))

    def stopped(self, backend: str) -> Path:
        """Return a run whose trunk is finished and whose first arm is under way."""
        return self._made(f"{backend}_stopped", lambda out: _stopped(backend, out))

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        place = self.folder / name
        if not place.exists():
            out = self.folder / f"making_{name}_{os.getpid()}"
            make(out)
            (found,) = (p for p in next(out.iterdir()).iterdir())
            with suppress(OSError):  # another process has just made it
                found.rename(place)
            shutil.rmtree(out)
        return place


def _finished(backend: str, out: Path, animal: int = 0) -> None:
    run(_protocol(backend), options=Options(out=str(out), jobs=1, seed=animal))


def _stopped(backend: str, out: Path) -> None:
    options = Options(out=str(out), jobs=1, save_seconds=0.0)
    with (
        patch("neuro_aws.experiment.branch.SAVING_SHARE", 0.0),
        patch("neuro_aws.experiment.branch.REPORT_SECONDS", 0.02),
    ):
        try:
            run(_protocol(backend), options=options, progress=StopIn("control", 5))
        except Stopped:
            return
    raise RuntimeError(f"the {backend} run ended before it was stopped")


def _protocol(backend: str) -> Protocol:
    return Protocol.from_text(TEXTS[backend], f"{backend}.yaml")


def differences(folder: Path, whole: Path) -> list[str]:
    """Return in what a finished run is not the unbroken one: recording, states, measures."""
    from neuro_aws.experiment.compare import bits

    one, two = open_run(whole), open_run(folder)
    lines = list(bits(one, two))
    found = [line for line in lines if "identical" not in line]
    if len(lines) != len(list(bits(one, one))):
        found.append(f"only {len(lines)} branches are recorded")
    for path in sorted(whole.glob("checkpoints/*/*.npz")):
        found += _state_differs(path, folder / path.relative_to(whole))
    if not _same(one, two):
        found.append("metrics differ")
    return found


def _state_differs(path: Path, other: Path) -> list[str]:
    if not other.exists():
        return [f"{path.name} is missing"]
    (a, facts), (b, others) = checkpoint.load(path), checkpoint.load(other)
    if a.keys() != b.keys() or facts["step"] != others["step"]:
        return [f"{path.name} holds something else"]
    return [f"{path.name}: {key} differs" for key in a if a[key].tobytes() != b[key].tobytes()][:1]


def _same(one: Run, two: Run) -> bool:
    """Say whether two runs measured the same, also in the tables that they wrote."""
    tables = [pd.read_csv(r.folder / "metrics.csv") for r in (one, two)]
    return one.metrics.equals(two.metrics) and tables[0].equals(tables[1])
