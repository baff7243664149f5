"""Many branches of many animals: in this process, or spread over several."""

import contextlib
import fcntl
import multiprocessing as mp
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.signals import held_back
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.data import using_data
from neuro_aws.recording.checkpoint import Place

LOCK_SECONDS = 15.0
SAFE_PATH = "PYTHONSAFEPATH"
"""Environment variable of Python: the current folder is no place for modules."""

Report = Callable[["Task", int, str], None]
"""Called with a task, how many of its steps have been simulated, and how learning goes."""


@dataclass(frozen=True)
class Task:
    """One branch of one animal: a trunk or an arm."""

    animal: int
    branch: str
    after: str | None
    """The trunk it grows from, of the same animal."""


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know; travels between processes."""

    run: Path
    text: str
    source: str
    overrides: tuple[str, ...]
    device: str
    save_seconds: float
    data: str | None = None
    """Folder that holds data sets."""
    short: bool = False
    allow_code: bool = False
    accept_loss: bool = False
    """Whether a branch goes on whose recording has lost parts."""
    compiled: bool = False
    """Whether rate networks take the compiled step."""

    @classmethod
    def of(
        cls,
        run: Path,
        protocol: Protocol,
        device: str,
        save_seconds: float,
        data: str | None,
        accept_loss: bool,
        compiled: bool,
    ) -> "Job":
        """Return the job of running a protocol."""
        return cls(
            run.resolve(),
            protocol.text,
            protocol.source,
            protocol.overrides,
            device,
            save_seconds,
            data,
            protocol.short,
            protocol.allow_code,
            accept_loss,
            compiled,
        )

    def protocol(self) -> Protocol:
        """Return the protocol; a process reads that of a run once."""
        return _read(self)


@lru_cache(maxsize=1)
def _read(job: Job) -> Protocol:
    return Protocol.from_text(
        job.text, job.source, job.overrides, short=job.short, allow_code=job.allow_code
    )


def tasks_of(protocol: Protocol, animals: list[int], arms: list[str]) -> list[Task]:
    """Return the tasks, those that others wait for first."""
    tree = protocol.tree
    needed = [t for t in tree.trunks.values() if t.stop > 0]
    trunks = [t.name for t in needed if any(tree.arms[a].trunk == t.name for a in arms)]
    tasks = []
    for animal in animals:
        tasks += [Task(animal, name, None) for name in trunks]
        for arm in arms:
            trunk = tree.arms[arm].trunk
            tasks.append(Task(animal, arm, trunk if trunk in trunks else None))
    return tasks


def simulate(
    job: Job, task: Task, stopped: Callable[[], bool], report: Callable[[int, str], None]
) -> bool:
    """Run one task in this process, on one thread; say whether it came to its end."""
    import torch
    from threadpoolctl import threadpool_limits

    from neuro_aws.backends.base import make
    from neuro_aws.backends.rate.distributed import join
    from neuro_aws.backends.rate.malloc import keep_memory
    from neuro_aws.experiment.branch import Branch

    torch.set_num_threads(1)
    keep_memory()
    protocol = job.protocol()
    coarse = job.device.startswith("cuda") and protocol.spec.network.products == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = coarse
    place = Place(job.run, task.animal, task.branch)
    team = join(job.device)
    what = f"animal {task.animal}, {task.branch}"
    held = lock(place.lock, what) if team.writes else nullcontext()
    with held, threadpool_limits(1), using_data(job.data):
        simulator = make(
            protocol,
            task.branch,
            task.animal,
            device=job.device,
            team=team,
            compiled=job.compiled,
        )
        branch = Branch(protocol, place, simulator, job.save_seconds, team, job.accept_loss)
        return branch.run(stopped, report)


@contextlib.contextmanager
def lock(path: Path, what: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a file lock; wait a little for a process that is just ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise NeuroAWSError(
                        f"{what} is being run by another process",
                        next_step="Wait for it, or stop it, then --resume",
                    ) from error
                time.sleep(0.1)
        yield


def is_held(path: Path) -> bool:
    """Say whether a process holds a file lock."""
    if not path.exists():
        return False
    try:
        with path.open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def run_here(job: Job, tasks: list[Task], stop: threading.Event, report: Report) -> bool:
    """Run all tasks in this process, one after the other."""
    return all(simulate(job, task, stop.is_set, partial(report, task)) for task in tasks)


_worker: dict[str, Any] = {}


def _start_worker(stop: Any, reports: Any, parent: int) -> None:
    """Let a worker ignore Ctrl-C (its parent stops it), report, and end when its parent has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker.update(stop=stop, reports=reports)


def _end_with(parent: int) -> None:
    """End this process soon after its parent has gone, whatever it is doing."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _simulate_in_worker(job: Job, task: Task) -> bool:
    def stopped() -> bool:
        return bool(_worker["stop"].is_set())

    def report(steps: int, note: str) -> None:
        _worker["reports"].put((task, steps, note))

    return simulate(job, task, stopped, report)


@contextlib.contextmanager
def safe_path() -> Iterator[None]:
    """Let processes that start meanwhile import nothing from the folder they start in."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


@safe_path()
def run_spread(
    job: Job, tasks: list[Task], jobs: int, stop: threading.Event, report: Report
) -> bool:
    """Run tasks in ``jobs`` processes; a task starts when the one it grows from has ended."""
    context = mp.get_context("spawn")
    stopping, reports = context.Event(), context.Queue()
    waiting, done = list(tasks), set[tuple[int, str]]()
    running: dict[Future[bool], Task] = {}
    finished = True
    pool = ProcessPoolExecutor(jobs, context, _start_worker, (stopping, reports, os.getpid()))
    with pool:
        try:
            while waiting or running:
                if stop.is_set():
                    stopping.set()
                    waiting = []
                ready = [t for t in waiting if t.after is None or (t.animal, t.after) in done]
                for task in ready[: max(0, jobs - len(running))]:
                    waiting.remove(task)
                    with held_back(signal.SIGINT):  # a worker that is still starting dies of it
                        running[pool.submit(_simulate_in_worker, job, task)] = task
                ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                _drain(reports, report)
                for future in ended:
                    task = running.pop(future)
                    finished = future.result() and finished
                    done.add((task.animal, task.branch))
            _drain(reports, report)
        except BrokenProcessPool as error:
            raise NeuroAWSError(
                "a worker process ended early (killed, or no memory was left)",
                where=str(job.run),
                next_step=f"neuro-aws run --resume {job.run} goes on; try --jobs 1",
            ) from error
        finally:
            stopping.set()
    return finished and not stop.is_set()


def _drain(reports: Any, report: Report) -> None:
    while True:
        try:
            report(*reports.get_nowait())
        except queue.Empty:
            return
