"""A Dask cluster whose scheduler and workers are processes of their own, to be killed and replaced."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

START_SECONDS = 120.0
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Cluster:
    """A scheduler and workers on this machine, of which each may be lost at any moment."""

    def __init__(self, folder: Path, workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder = folder
        self.wanted = workers
        self.workers: list[subprocess.Popen] = []
        self.closed = False

    def __enter__(self) -> "Cluster":
        self.start_scheduler()
        self.fill()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def start_scheduler(self) -> None:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        words = [sys.executable, "-m", "distributed.cli.dask_scheduler", *where]
        self.scheduler = subprocess.Popen(words, cwd=self.folder, **QUIET)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.scheduler.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def answers(self) -> bool:
        """Say whether the scheduler takes connections: a busy machine takes long to start one."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def fill(self) -> None:
        """Start workers in the place of those that have gone."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        words = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--no-nanny"]
        words += ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
        words += ["--local-directory", str(self.folder)]
        while len(self.workers) < self.wanted and not self.closed:
            self.workers.append(subprocess.Popen(words, cwd=self.folder, **QUIET))

    def kill_worker(self) -> None:
        random.choice(self.workers).send_signal(signal.SIGKILL)

    def restart_scheduler(self) -> None:
        self.scheduler.kill()
        self.scheduler.wait()
        self.start_scheduler()


def nap(task: tuple[Path, float]) -> int:
    """Note that a task was begun, sleep, and return the process it was done in."""
    path, seconds = task
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return os.getpid()


class Fire(threading.Thread):
    """Kills workers at random moments of runs, and the scheduler once, and has them replaced."""

    def __init__(
        self, cluster: Cluster, runs: Path, *, kills: int, pause: float, restart_after: int = -1
    ) -> None:
        super().__init__(daemon=True)
        self.cluster, self.runs = cluster, runs
        self.kills, self.pause, self.restart_after = kills, pause, restart_after
        self.killed = self.restarted = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            if self.killed < self.kills and self.under_way():
                time.sleep(random.random() * 0.3)
                self.cluster.kill_worker()
                self.killed += 1
                self.over.wait(self.pause * random.random())
            if self.finished() >= self.restart_after >= 0 and not self.restarted:
                self.cluster.restart_scheduler()
                self.restarted += 1
            self.cluster.fill()
            self.over.wait(0.02)

    def under_way(self) -> bool:
        return any(self.runs.glob("*/*/*/parts/*/*/*"))

    def finished(self) -> int:
        return sum(1 for _ in self.runs.glob("*/*/*/metrics.json"))


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, from any of its threads, and not ended."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # that thread has just ended
            found += [int(child) for child in path.read_text().split()]
    return [child for child in found if os.path.exists(f"/proc/{child}")]
