"""Run a protocol, or resume a run; the folder that a run writes."""

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuro_aws.backends.rate import forms
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.progress import Progress, Silent
from neuro_aws.experiment.run_folder import end, logged, new_folder, parts_of
from neuro_aws.experiment.signals import StopOnSignal
from neuro_aws.experiment.workers import (
    Job,
    Task,
    lock,
    run_here,
    run_spread,
    tasks_of,
)
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.cost import estimate
from neuro_aws.protocol.data import required_root, using_data
from neuro_aws.protocol.start import fitting_processes, refuse_memory
from neuro_aws.recording import provenance
from neuro_aws.recording.parts import consolidate, is_complete, write_index
from neuro_aws.recording.reader import Run, group_name, open_run, protocol_of
from neuro_aws.recording.room import Full
from neuro_aws.stimuli.image_file import refuse_broken_images

SAVE_SECONDS = 20.0
log = logging.getLogger("neuro_aws")


class Stopped(NeuroAWSError):
    """The run was stopped and can be resumed."""


@dataclass(frozen=True)
class Options:
    """How a protocol is run; none of it changes a result but seed, arms, device and form of step.

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
    data: str | None = None
    """Folder that holds mnist/ and other data sets; None: $NEURO_AWS_DATA."""
    allow_code: bool = False
    """Consent to importing the user's own code that a protocol names."""
    step: str = "auto"
    """Form of the step: auto (compiled where it covers all arms), compiled, or written-out."""
    accept_loss: bool = False
    """On resumption: go on where parts of the recording were lost, and record which steps."""
    figures: bool = True
    """Whether a run draws its figures when it ends; `neuro-aws plot` draws them at any time."""


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
        protocol = protocol.changed(overrides, allow_code=options.allow_code)
    protocol.refuse_unloaded()
    arms = chosen_arms(protocol, options.arms)
    animals = protocol.animals(options.seed, options.seeds)
    from neuro_aws.backends.rate.build import device_of
    from neuro_aws.backends.rate.distributed import join

    device = str(device_of(options.device))
    options = replace(options, data=_data(protocol, arms, options.data), device=device)
    _refuse_memory(protocol, options, options.device, animals, arms)
    form = forms.loaded(forms.chosen(protocol, device=device, asked=options.step), options.step)
    team = join(options.device)
    settings = {
        "protocol": absolute(protocol.source),
        "protocol_sha256": hashlib.sha256(protocol.text.encode()).hexdigest(),
        "overrides": list(protocol.overrides),
        "short": protocol.short,
        "allow_code": protocol.allow_code,
        "animals": animals,
        "arms": arms,
        "device": options.device,
        "data": options.data,
        "step": str(form),
    }
    folder = Path(
        team.agree(str(new_folder(protocol, options.out, settings)) if team.writes else "")
    )
    if not team.writes:
        return _follow(folder, protocol, options, animals, arms)
    return _continue(folder, protocol, options, progress or Silent())


def resume(
    folder: str | Path, *, options: Options | None = None, progress: Progress | None = None
) -> Run:
    """Go on with a run that was stopped or killed; the result equals the unbroken one."""
    folder = Path(folder)
    data = provenance.read(folder)
    if data["neuro_aws"] != provenance.version():
        log.warning("run was started by version %s", data["neuro_aws"])
    options = options or Options()
    protocol = protocol_of(folder, data, allow_code=options.allow_code)
    protocol.refuse_unloaded()
    from neuro_aws.backends.rate.distributed import join

    if data["outcome"] != "finished":
        named = _data(protocol, data["arms"], options.data or data.get("data"))
        options = replace(options, data=named)
        _refuse_memory(protocol, options, data["device"], data["animals"], data["arms"])
    if not join(data["device"]).writes:
        return _follow(folder, protocol, options, data["animals"], data["arms"])
    if data["outcome"] != "finished":
        _form(folder, protocol, data)
    return _continue(folder, protocol, options, progress or Silent())


def _form(folder: Path, protocol: Protocol, data: dict[str, Any]) -> forms.Form:
    """Return the form of the step that a run began with; refuse if it is not there any more."""
    return forms.kept(data.get("step", forms.WRITTEN_OUT), protocol, data["device"], str(folder))


def _follow(
    folder: Path, protocol: Protocol, options: Options, animals: list[int], arms: list[str]
) -> Run:
    """Simulate the same animals as process 0 of a team, which alone writes; return its run."""
    from neuro_aws.backends.rate.distributed import leave

    job = _job(folder, protocol, options, options.device, compiled=False)
    main = threading.current_thread() is threading.main_thread()
    with StopOnSignal() if main else nullcontext(threading.Event()) as stop:
        run_here(job, tasks_of(protocol, animals, arms), stop, lambda task, steps, note: None)
    leave()
    return open_run(folder)


def absolute(source: str) -> str:
    """Return where a protocol lies, wherever it is asked from later: its code lies beside it."""
    path = Path(source)
    return str(path.resolve()) if path.is_file() else source


def _job(folder: Path, protocol: Protocol, options: Options, device: str, compiled: bool) -> Job:
    seconds, data = options.save_seconds, options.data
    return Job.of(folder, protocol, device, seconds, data, options.accept_loss, compiled)


def chosen_arms(protocol: Protocol, arms: tuple[str, ...]) -> list[str]:
    """Return the arms to run, in the protocol's order; refuse unknown ones."""
    known = list(protocol.tree.arms)
    unknown = [arm for arm in arms if arm not in known]
    if unknown:
        raise NeuroAWSError(
            f"no arm {unknown[0]!r}", where="--arms", next_step="Arms: " + ", ".join(known)
        )
    return [arm for arm in known if not arms or arm in arms]


def _data(protocol: Protocol, arms: list[str], named: str | None) -> str | None:
    """Return the folder of data sets that these arms need; refuse stimuli that are missing."""
    sections = [protocol.tree.arms[arm].spec.stimulus for arm in arms]
    with using_data(named):
        root = required_root(sections)
    for section in sections:
        refuse_broken_images(section)
    return root


def _refuse_memory(
    protocol: Protocol, options: Options, device: str, animals: list[int], arms: list[str]
) -> None:
    """Refuse a network that this machine has not the memory for; a GPU has its own."""
    if device == "cpu":
        tasks = tasks_of(protocol, animals, arms)
        jobs = min(_jobs(protocol, options, device, tasks), len(tasks))
        specs = (protocol.tree.arms[arm].initial for arm in arms)
        refuse_memory(specs, jobs, protocol.source)


def _jobs(protocol: Protocol, options: Options, device: str, tasks: list[Task]) -> int:
    """Return the number of processes: of those that are not asked for, as many as memory allows."""
    if device != "cpu" or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return 1
    specs = (plan.initial for plan in protocol.tree.arms.values())
    return options.jobs or fitting_processes(specs, min(os.cpu_count() or 1, len(tasks)))


def _continue(folder: Path, protocol: Protocol, options: Options, progress: Progress) -> Run:
    with lock(folder / "run.lock", str(folder), seconds=15), logged(folder):
        data = provenance.read(folder)
        if data["outcome"] == "finished":
            raise NeuroAWSError(
                "has finished; there is nothing to resume",
                where=str(folder),
                next_step=f"neuro-aws inspect {folder} shows it",
            )
        data["data"] = options.data
        if data["outcome"] != "running" or "ended" in data or _begun(folder):
            data.setdefault("resumed", []).append(provenance.now())
        data.pop("ended", None)
        data["outcome"] = "running"
        provenance.write(folder, data)
        try:
            finished = is_complete(folder / "recording.h5") or _simulate(
                folder, protocol, options, data, progress
            )
            if finished:
                return _finish(folder, protocol, data, options.figures)
        except BaseException as error:
            with suppress(OSError):  # where there is no room for that either
                end(folder, f"failed: {error}")
            log.error("failed: %s", error, exc_info=not isinstance(error, NeuroAWSError))
            if not isinstance(error, OSError | Full):
                raise
            said = error.what if isinstance(error, Full) else f"{error.strerror or error}"
            raise NeuroAWSError(
                f"{said}; what was recorded is kept",
                where=str(folder),
                next_step=f"Mend that, then neuro-aws run --resume {folder}",
            ) from error
        end(folder, "stopped")
        log.info("stopped")
        raise Stopped(
            "stopped; everything simulated so far is saved",
            where=str(folder),
            next_step=f"Go on with: neuro-aws run --resume {folder}",
        )


def _simulate(
    folder: Path, protocol: Protocol, options: Options, data: dict[str, Any], progress: Progress
) -> bool:
    animals, arms = data["animals"], data["arms"]
    tasks = tasks_of(protocol, animals, arms)
    write_index(folder / "recording.h5", parts_of(folder, tasks))
    steps = {task: _steps(protocol, task) for task in tasks}
    jobs = _jobs(protocol, options, data["device"], tasks)
    form = _form(folder, protocol, data)
    expected = estimate(protocol, len(animals), arms, jobs, form.relative_time)
    log.info("%d animals, arms %s, %d jobs", len(animals), ", ".join(arms), jobs)
    log.info("step: %s", form)
    if form.compiled and not forms.kept_from_before():
        log.info("compiling the step for this machine: once, some half a minute")
    job = _job(folder, protocol, options, data["device"], form.compiled)
    started, ended = time.monotonic(), set[Task]()

    def report(task: Task, done: int, note: str) -> None:
        progress.update(task, done, note)
        if done >= steps[task] and task not in ended:
            ended.add(task)
            seconds = time.monotonic() - started
            log.info("animal %d %s simulated (%.1f s)", task.animal, task.branch, seconds)

    main = threading.current_thread() is threading.main_thread()
    with StopOnSignal() if main else nullcontext(threading.Event()) as stop:
        progress.begin(folder, expected, steps)
        try:
            if jobs == 1:
                return run_here(job, tasks, stop, report)
            return run_spread(job, tasks, jobs, stop, report)
        finally:
            progress.end()


def _steps(protocol: Protocol, task: Task) -> int:
    plan = protocol.tree.plan(task.branch)
    return plan.stop - plan.first


def _finish(folder: Path, protocol: Protocol, data: dict[str, Any], figures: bool) -> Run:
    """Put the recording into one file, write tables and figures, clear up; say so last of all.

    Killed anywhere in between, a run that is resumed does here what is missing.
    """
    tasks = tasks_of(protocol, data["animals"], data["arms"])
    columns = {}
    for t in tasks:
        plan = protocol.tree.plan(t.branch)
        columns[group_name(t.animal, t.branch)] = backend_of(plan.spec).columns(plan.spec)
    if not is_complete(folder / "recording.h5"):
        consolidate(
            folder / "recording.h5",
            {name: (path, columns[name]) for name, path in parts_of(folder, tasks).items()},
            {"protocol": protocol.spec.name, "neuro_aws": data["neuro_aws"]},
        )
    finished = open_run(folder)
    from neuro_aws.experiment import results
    from neuro_aws.plots.figures import draw_run

    results.write(finished)
    for line in results.alarms(finished.metrics):
        log.warning(line)
    if figures:
        draw_run(finished)
    shutil.rmtree(folder / "parts", ignore_errors=True)
    for pattern in ("*/*.lock", "*/*.tmp"):  # of processes that were killed, too
        for leftover in (folder / "checkpoints").glob(pattern):
            leftover.unlink(missing_ok=True)
    end(folder, "finished")
    log.info("finished")
    return open_run(folder)


def _begun(folder: Path) -> bool:
    """Say whether something of the run was already simulated, by a process that was killed."""
    return (folder / "parts").exists()
