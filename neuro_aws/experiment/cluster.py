"""Many independent tasks on Dask, on processes of this machine or on a cluster that is there.

The one file that imports Dask, and only when something is to be spread. What may be lost on the
way, a worker or the scheduler itself, costs the tasks that it had under way: they are given out
again. So a task must be one that may be begun again by another process, or done by two at once.
"""

import importlib.util
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from uuid import uuid4

from neuro_aws.errors import NeuroAWSError, clipped, in_a_line
from neuro_aws.experiment.workers import safe_path

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")
Result = TypeVar("Result")

FIRST_SECONDS, PATIENCE_SECONDS = 10.0, 300.0
"""How long a scheduler is waited for at the start, and when it was there before."""

POLL_SECONDS, GATHER_SECONDS = 0.1, 30.0
MOST_GIVEN_UP = 2
"""Times that a scheduler may give a task up; each time it lost some four workers (Dask's
``distributed.scheduler.allowed-failures``, 3 by default)."""

NEEDED = ("dask", "distributed", "pyarrow")
INSTALL = "pip install 'neuro-aws[cluster]'"


class Ended(NamedTuple, Generic[Result]):
    """A task that came to its end, or was given up: ``error`` says why."""

    name: str
    result: Result | None
    error: str = ""


class _Away(Exception):
    """The scheduler is not there any more."""


def refuse_missing() -> None:
    """Refuse to spread anything where Dask is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NeuroAWSError(
            f"needs {', '.join(missing)}, which is not installed", where="sweep", next_step=INSTALL
        )


def spread(
    act: Callable[[Task], Result],
    tasks: Mapping[str, Task],
    *,
    jobs: int,
    scheduler: str | None,
    stop: threading.Event,
) -> Iterator[Ended[Result]]:
    """Do all tasks, by name; yield each as it ends, once.

    ``act`` is a function of a module and returns its own errors as results. ``scheduler`` is the
    address of one that is there; None starts ``jobs`` processes here, for as long as it takes.
    """
    refuse_missing()
    left = dict(tasks)
    given_up: Counter[str] = Counter()
    patience = FIRST_SECONDS
    with _quiet(), _cluster(jobs, scheduler) as address:
        while left and not stop.is_set():
            with _client(address, patience, stop) as client:
                if client is None:  # stopped meanwhile
                    return
                patience = PATIENCE_SECONDS
                try:
                    for name, future in _ended(client, act, left, stop):
                        ended = _outcome(name, future, given_up)
                        if ended is not None:
                            del left[name]
                            yield ended
                except _Away:
                    logging.getLogger("neuro_aws").warning("scheduler %s was lost", address)


def _ended(
    client: "Client", act: Callable[[Task], Result], tasks: dict[str, Task], stop: threading.Event
) -> "Iterator[tuple[str, Future[Any]]]":
    """Yield the future of each task when it is done, for good or ill; it may come up again."""
    turn = uuid4().hex[:8]  # a scheduler may remember the tasks of before

    def submit(name: str, again: int = 0) -> "Future[Any]":
        return client.submit(act, tasks[name], key=f"{name}-{turn}-{again}", pure=False)

    waiting = {name: submit(name) for name in tasks}
    turns = 0
    while waiting and not stop.wait(POLL_SECONDS):
        if client.status != "running":
            raise _Away
        for name, future in list(waiting.items()):
            if future.status == "cancelled":
                raise _Away
            if future.status in ("finished", "error"):
                yield name, future
                turns += 1
                del waiting[name]
                if name in tasks:  # it was not taken: once more
                    if client.status != "running":
                        raise _Away
                    waiting[name] = submit(name, turns)


def _outcome(name: str, future: "Future[Any]", given_up: "Counter[str]") -> Ended[Any] | None:
    """Return how a task ended; None: it is to be done again."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        return Ended(name, future.result(timeout=GATHER_SECONDS))
    except KilledWorker as error:
        given_up[name] += 1
        if given_up[name] < MOST_GIVEN_UP:
            return None
        lost = MOST_GIVEN_UP * (error.allowed_failures + 1)
        return Ended(name, None, f"lost its worker {lost} times (killed, or no memory was left)")
    except (CancelledError, TimeoutError, OSError):  # its result went with a worker or scheduler
        return None
    except Exception as error:  # `act` was not even begun: it cannot be imported there
        return Ended(name, None, f"{type(error).__name__}: {in_a_line(error, 200)}")


@contextmanager
def _cluster(jobs: int, scheduler: str | None) -> Iterator[str]:
    """Return the address of a scheduler: one that is there, or one on this machine for a while."""
    if scheduler is not None:
        yield scheduler
        return
    from distributed import LocalCluster

    with (
        safe_path(),
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster.scheduler_address


@contextmanager
def _client(address: str, patience: float, stop: threading.Event) -> "Iterator[Client | None]":
    """Speak to a scheduler, which may have to come back first; None: stopped before it did."""
    from distributed import Client

    deadline = time.monotonic() + patience
    client = None
    while client is None and not stop.is_set():
        try:
            client = Client(address, timeout=5, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise _unreachable(address, "does not answer") from error
            stop.wait(0.5)
        except (ValueError, TypeError, RuntimeError, ImportError) as error:
            raise _unreachable(address, in_a_line(error)) from error
    try:
        yield client
    finally:
        if client is not None:
            client.close(timeout=2)  # type: ignore[no-untyped-call]


def _unreachable(address: str, why: str) -> NeuroAWSError:
    return NeuroAWSError(
        f"no scheduler there ({why})",
        where=f"--scheduler {clipped(address)}",
        next_step="Give its address, such as tcp://host:8786; the same sweep then goes on",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of what Dask says of workers and schedulers that are lost: they are expected."""
    import distributed  # noqa: F401  (sets its handlers when it is imported)

    handlers = logging.getLogger("distributed").handlers
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)
