"""The main door: run a protocol, or resume a run; the folder it leaves behind."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.progress import Progress, Silent
from neuro_aws.experiment.workers import Job, StopOnSignal, Task, run_here, run_spread, tasks_of
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.cost import estimate
from neuro_aws.recording import provenance
from neuro_aws.recording.parts import consolidate, write_index
from neuro_aws.recording.reader import Run, open_run, segment_name

SAVE_SECONDS = 20.0
log = logging.getLogger("neuro_aws")


class Stopped(NeuroAWSError):
    """The run was stopped and can be resumed."""


@dataclass(frozen=True)
class Options:
    """How a protocol is run; none of it changes a result but seed, arms and device.

    ``jobs`` None takes all cores. More than one process starts new interpreters, so a script that
    asks for them must keep its own start behind ``if __name__ == "__main__":``.
    """

    seed: int = 0
    seeds: int | None = None
    jobs: int | None = 1
    device: str = "cpu"
    out: str = "runs"
    arms: tuple[str, ...] = ()
    save_seconds: float = SAVE_SECONDS
    allow_code: bool = False
    """Consent to importing the user's own code that a protocol names."""


def run(
    protocol: Protocol | str | Path,
    *,
    overrides: Iterable[str] = (),
    options: Options | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run a protocol and return the finished run.

    ``overrides`` are key.path=value. Raises ``Stopped`` on Ctrl-C, when all is saved.
    """
    options = options or Options()
    if not isinstance(protocol, Protocol):
        protocol = Protocol.load(protocol, overrides, allow_code=options.allow_code)
    elif overrides:
        both = (*protocol.overrides, *overrides)
        allowed = protocol.allow_code or options.allow_code
        protocol = Protocol.from_text(protocol.text, protocol.source, both, allow_code=allowed)
    protocol.refuse_unloaded()
    arms = chosen_arms(protocol, options.arms)
    animals = protocol.animals(options.seed, options.seeds)
    from neuro_aws.backends.rate.distributed import join
    from neuro_aws.stimuli.paths import refuse_missing

    stimulus = protocol.spec.stimulus
    refuse_missing(stimulus.source, getattr(stimulus, "folder", None))
    team = join(options.device)
    folder = Path(team.agree(str(_new_folder(protocol, options)) if team.writes else ""))
    if not team.writes:
        return _follow(folder, protocol, options, animals, arms)
    settings = {
        "protocol": protocol.source,
        "overrides": list(protocol.overrides),
        "animals": animals,
        "arms": arms,
        "device": options.device,
    }
    try:
        (folder / "protocol.yaml").write_text(protocol.text, encoding="utf-8")
        (folder / "resolved.yaml").write_text(protocol.resolved(), encoding="utf-8")
        provenance.write(folder, provenance.provenance(settings))
    except OSError as error:
        raise NeuroAWSError(f"cannot write ({error.strerror})", where=str(folder)) from error
    return _continue(folder, protocol, options, progress or Silent())


def resume(
    folder: str | Path, *, options: Options | None = None, progress: Progress | None = None
) -> Run:
    """Go on with a run that was stopped or killed; the result equals the unbroken one."""
    folder = Path(folder)
    data = provenance.read(folder)
    if data["neuro_aws"] != provenance.version():
        log.warning("run was started by version %s", data["neuro_aws"])
    text = (folder / "protocol.yaml").read_text(encoding="utf-8")
    options = options or Options()
    protocol = Protocol.from_text(
        text, data["protocol"], data["overrides"], allow_code=options.allow_code
    )
    protocol.refuse_unloaded()
    from neuro_aws.backends.rate.distributed import join

    if not join(data["device"]).writes:
        return _follow(folder, protocol, options, data["animals"], data["arms"])
    return _continue(folder, protocol, options, progress or Silent())


def _follow(
    folder: Path, protocol: Protocol, options: Options, animals: list[int], arms: list[str]
) -> Run:
    """Live the same animals as process 0 of a team, which alone writes; return its run."""
    from neuro_aws.backends.rate.distributed import leave

    job = Job(
        folder.resolve(),
        protocol.text,
        protocol.source,
        protocol.overrides,
        options.device,
        options.save_seconds,
        protocol.allow_code,
    )
    main = threading.current_thread() is threading.main_thread()
    with StopOnSignal() if main else nullcontext(threading.Event()) as stop:
        run_here(job, tasks_of(protocol, animals, arms), stop, lambda task, lived, note: None)
    leave()
    return open_run(folder)


def chosen_arms(protocol: Protocol, arms: tuple[str, ...]) -> list[str]:
    """Return the arms to run, in the protocol's order; refuse unknown ones."""
    known = list(protocol.tree.arms)
    unknown = [arm for arm in arms if arm not in known]
    if unknown:
        raise NeuroAWSError(
            f"no arm {unknown[0]!r}", where="--arms", next_step="Arms: " + ", ".join(known)
        )
    return [arm for arm in known if not arms or arm in arms]


def _new_folder(protocol: Protocol, options: Options) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    base = Path(options.out) / protocol.spec.name
    for attempt in range(1, 1000):
        suffix = "" if attempt == 1 else f"-{attempt}"
        folder = base / f"{stamp}-s{options.seed}{suffix}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not base.is_dir():
                raise NeuroAWSError("is not a folder", where=str(base)) from None
        except OSError as error:
            raise NeuroAWSError(
                f"cannot make a folder ({error.strerror})", where=str(folder)
            ) from error
    raise NeuroAWSError("too many runs in one second", where=str(base))


def _continue(folder: Path, protocol: Protocol, options: Options, progress: Progress) -> Run:
    from neuro_aws.backends.rate.simulator import lock

    with lock(folder / "run.lock", str(folder), seconds=15), _logged(folder):
        data = provenance.read(folder)
        if data["outcome"] == "finished":
            raise NeuroAWSError(
                "has finished; there is nothing to resume",
                where=str(folder),
                next_step=f"neuro-aws inspect {folder} shows it",
            )
        try:
            finished = _live(folder, protocol, options, data, progress)
        except BaseException as error:
            _outcome(folder, f"failed: {error}")
            log.error("failed: %s", error)
            raise
        finally:
            progress.end()
        if not finished:
            _outcome(folder, "stopped")
            log.info("stopped")
            raise Stopped(
                "stopped; everything lived so far is saved",
                where=str(folder),
                next_step=f"Go on with: neuro-aws run --resume {folder}",
            )
        return _finish(folder, protocol, data)


def _live(
    folder: Path, protocol: Protocol, options: Options, data: dict[str, Any], progress: Progress
) -> bool:
    animals, arms = data["animals"], data["arms"]
    tasks = tasks_of(protocol, animals, arms)
    write_index(folder / "recording.h5", _parts(folder, tasks))
    _outcome(folder, "running")
    steps = {task: _steps(protocol, task) for task in tasks}
    jobs = options.jobs or min(os.cpu_count() or 1, len(tasks))
    if data["device"] != "cpu" or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        jobs = 1
    expected = estimate(protocol, len(animals), arms, jobs)
    log.info("%d animals, arms %s, %d jobs", len(animals), ", ".join(arms), jobs)
    job = Job(
        folder.resolve(),
        protocol.text,
        protocol.source,
        tuple(data["overrides"]),
        data["device"],
        options.save_seconds,
        protocol.allow_code,
    )
    started, ended = time.monotonic(), set[Task]()

    def report(task: Task, lived: int, note: str) -> None:
        progress.update(task, lived, note)
        if lived >= steps[task] and task not in ended:
            ended.add(task)
            seconds = time.monotonic() - started
            log.info("animal %d %s lived (%.1f s)", task.animal, task.segment, seconds)

    main = threading.current_thread() is threading.main_thread()
    with StopOnSignal() if main else nullcontext(threading.Event()) as stop:
        progress.begin(folder, expected, steps)
        if jobs == 1:
            return run_here(job, tasks, stop, report)
        return run_spread(job, tasks, jobs, stop, report)


def _steps(protocol: Protocol, task: Task) -> int:
    plan = protocol.tree.plan(task.segment)
    return plan.stop - plan.first


def _parts(folder: Path, tasks: list[Task]) -> dict[str, Path]:
    return {
        segment_name(t.animal, t.segment): folder / "parts" / f"s{t.animal}" / t.segment
        for t in tasks
    }


def _finish(folder: Path, protocol: Protocol, data: dict[str, Any]) -> Run:
    tasks = tasks_of(protocol, data["animals"], data["arms"])
    columns = {}
    for t in tasks:
        plan = protocol.tree.plan(t.segment)
        columns[segment_name(t.animal, t.segment)] = backend_of(plan.spec).columns(plan.spec)
    if (folder / "parts").exists():
        consolidate(
            folder / "recording.h5",
            {name: (path, columns[name]) for name, path in _parts(folder, tasks).items()},
            {"protocol": protocol.spec.name, "neuro_aws": data["neuro_aws"]},
        )
    finished = open_run(folder)
    from neuro_aws.experiment import results
    from neuro_aws.plots.figures import draw_run

    results.write(finished)
    for line in results.alarms(finished.metrics):
        log.warning(line)
    _outcome(folder, "finished")
    log.info("finished")
    draw_run(finished)
    shutil.rmtree(folder / "parts", ignore_errors=True)
    for leftover in (folder / "checkpoints").glob("*/*.lock"):
        leftover.unlink(missing_ok=True)
    return open_run(folder)


def _outcome(folder: Path, outcome: str) -> None:
    data = provenance.read(folder)
    data["outcome"] = outcome
    data["ended" if outcome != "running" else "resumed"] = provenance.now()
    provenance.write(folder, data)


@contextmanager
def _logged(folder: Path) -> Any:
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    level, log.propagate = log.level, False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
