"""A run is killed, resumed and killed again until it is done; then it is the unbroken one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.calls import Done
from tests.conftest import ROOT
from tests.hostile.bases import TEXTS, Bases, differences
from tests.hostile.cases import Case, Ended
from tests.hostile.invariant import faults
from tests.hostile.killed import KILL, PACE, UNDRAWN

POINTS = {
    "beginning": {
        "tempfile.mkdtemp": 1,
        "pathlib.Path.rename": 1,
        "neuro_aws.recording.provenance.write": 2,
        "neuro_aws.recording.parts.write_index": 2,
        "neuro_aws.experiment.run.tasks_of": 3,
    },
    "simulating": {"neuro_aws.experiment.branch.Branch._advance": 40},
    "saving": {
        "os.replace": 60,
        "os.fsync": 60,
        "hashlib.sha256": 15,
        "neuro_aws.recording.checkpoint.save": 16,
        "neuro_aws.recording.checkpoint.replace_file": 16,
        "neuro_aws.recording.parts.write_master": 16,
        "neuro_aws.recording.parts.create": 200,
        "neuro_aws.recording.inventory.part_of": 16,
        "neuro_aws.recording.parts.drop_after": 3,
    },
    "consolidating": {
        "neuro_aws.experiment.run.consolidate": 1,
        "neuro_aws.recording.parts.copy_parts": 3,
        "neuro_aws.recording.parts.gather": 3,
        "neuro_aws.recording.parts.merge_intervals": 8,
        "neuro_aws.experiment.results.write": 1,
        "pandas.DataFrame.to_csv": 1,
    },
    "drawing": {
        "neuro_aws.plots.figures.draw_run": 1,
        "matplotlib.figure.Figure.savefig": 3,
    },
    "clearing up": {
        "shutil.rmtree": 1,
        "os.unlink": 20,
        "os.rmdir": 3,
        "neuro_aws.experiment.run.end": 1,
    },
    "a moment": {},
}
"""Stages of a run, the functions that are called in them, and how often."""

LAST = ("drawing", "clearing up")
"""Stages for which figures are drawn."""

PACES = {"rate": "1 5", "spiking": "8 1"}
"""Steps between looks at the clock, and looks between saves."""

FEWER = 8
"""Times as many calls are made in a rate run as in a spiking one."""

SECONDS = 180.0
"""In which a process must have come to its end."""


@dataclass(frozen=True)
class Point:
    """When a process is killed."""

    stage: str
    plan: str = ""
    delay: float = 0.0
    from_start: bool = False

    @classmethod
    def drawn(cls, rng: Random, backend: str, jobs: int) -> "Point":
        stage = rng.choice(tuple(POINTS))
        if not POINTS[stage]:
            return cls(stage, delay=rng.uniform(0.0, 4.0), from_start=rng.random() < 0.5)
        target, most = rng.choice(tuple(POINTS[stage].items()))
        if backend == "spiking":
            most = max(1, most // FEWER)
        moment = rng.choice(("before", "after"))
        whom = rng.choice(("self", "all") if jobs > 1 else ("self",))
        return cls(stage, f"{target} {rng.randint(1, most)} {moment} {whom}")


@dataclass
class Chain:
    """One run, as often as it was begun, killed and resumed."""

    folder: Path
    backend: str
    jobs: int
    drawn: bool

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "p.yaml").write_text(TEXTS[self.backend])

    @property
    def run(self) -> Path | None:
        """Return the run folder, if it was made."""
        found = [p for p in self.folder.glob("runs/*/*") if not p.name.startswith(".")]
        return found[0] if found else None

    @property
    def outcome(self) -> str:
        assert self.run is not None
        return str(json.loads((self.run / "provenance.json").read_text("utf-8"))["outcome"])

    def attempt(self, point: Point | None) -> Done:
        """Begin or resume the run in a process, and kill it at a point."""
        words = ["--resume", str(self.run)] if self.run else ["p.yaml", "--seeds", "1"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.killed", "run", *words, "--jobs", str(self.jobs)],
            cwd=self.folder,
            env=os.environ | self._told(point),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            if point is not None and not point.plan:
                self._wait(process, point)
                process.kill()
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            _end(process)
            return Done(-1, "", f"still at it after {SECONDS:.0f} s")
        except BaseException:  # the driver ends: leave nothing behind that computes
            _end(process)
            raise
        return Done(process.returncode, out.decode("utf-8", "replace"), err.decode())

    def _told(self, point: Point | None) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            PACE: PACES[self.backend],
            UNDRAWN: "" if self.drawn else "1",
            KILL: point.plan if point else "",
        }

    def _wait(self, process: subprocess.Popen[bytes], point: Point) -> None:
        deadline = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < deadline and not point.from_start:
            if list(self.folder.glob("runs/*/*/parts/*/*/part_00001.h5")):
                break
            time.sleep(0.02)
        with suppress(subprocess.TimeoutExpired):
            process.wait(point.delay)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def kill(case: Case, folder: Path, bases: Bases) -> Ended:
    """Kill a run one to three times, each time at another point; compare it with the unbroken."""
    rng = case.rng()
    backend = "spiking" if case.number % 4 == 3 else "rate"
    jobs = 1 + case.number // 2 % 2
    points = [Point.drawn(rng, backend, jobs) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
    chain = Chain(folder, backend, jobs, any(point.stage in LAST for point in points))
    found: list[str] = []
    said = [backend, f"{chain.jobs} processes"]
    kills = 0
    for point in [*points, None]:
        done = chain.attempt(point)
        ended_early = "ended early" in done.stderr
        kills += done.returncode == -signal.SIGKILL or ended_early
        found += _wrong(done, point, chain)
        said.append(f"{point.plan or 'a moment'}: {done.returncode}" if point else "to the end")
        if found or (chain.run and chain.outcome == "finished"):
            break
    if not found:
        found += _unlike(chain, bases.whole(backend))
    outcome = "FAILED" if found else f"equal after {kills} kill{'s' * (kills != 1)}"
    return Ended(outcome, tuple(found), "; ".join(said))


def _wrong(done: Done, point: Point | None, chain: Chain) -> Iterator[str]:
    """Yield how a process should not have ended, or left the run."""
    killed = done.returncode == -signal.SIGKILL
    early = done.returncode == 1 and "ended early" in done.stderr
    if not (killed and point) and not (early and point):
        yield from faults(done)
        if done.returncode != 0:
            yield f"ended with {done.returncode}: {done.stderr[-300:]!a}"
    elif early:
        yield from faults(done)
    if chain.run is not None:
        from tests.calls import command

        looked = command("inspect", str(chain.run), "--verify")
        if looked.returncode:
            yield f"is not whole: {(looked.stdout + looked.stderr)[-300:]!a}"


def _unlike(chain: Chain, whole: Path) -> Iterator[str]:
    """Yield in what a run that is done is not the unbroken one, and what it left behind."""
    run = chain.run
    if run is None or chain.outcome != "finished":
        yield "has not finished"
        return
    yield from differences(run, whole)
    for pattern in ("parts", "**/*.tmp", "checkpoints/*/*.lock", "checkpoints/*/*.resume.npz"):
        yield from (f"left {p.relative_to(run)}" for p in sorted(run.glob(pattern)))
    for figure in sorted(whole.glob("figures/*.png")) if chain.drawn else ():
        if not (run / "figures" / figure.name).is_file():
            yield f"{figure.name} was not drawn"
