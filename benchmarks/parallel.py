"""Branches in several processes of one machine: the workers of `run` against Dask's LocalCluster.

    python benchmarks/parallel.py [--branches 8] [--jobs 2] [--rounds 5] [--cycles 40]

Both simulate the same arms, each from initialisation on, in as many processes, and are timed in
turns from nothing: starting processes, importing, simulating, ending them. Dask's is told twice:
all of it, and without starting and ending its cluster (workers there, but nothing imported).
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from distributed import Client, LocalCluster

from neuro_aws.experiment.workers import Job, Task, run_spread, simulate, tasks_of
from neuro_aws.protocol import Protocol

TEXT = """
schema_version: 3
preset: without_homeostasis
name: branches
seeds: 1
stimulus: {{source: digits}}
schedule: [{{name: infancy, cycles: {cycles}, phases: [{{wake: 1}}, {{rem: 1}}]}}]
arms: {{{arms}}}
"""


def protocol_of(branches: int, cycles: int) -> Protocol:
    """Return a protocol of so many short arms."""
    arms = ", ".join(f"arm{k}: {{initial: {{stimulus.batch: {16 + k}}}}}" for k in range(branches))
    return Protocol.from_text(TEXT.format(arms=arms, cycles=cycles), "parallel.yaml")


def job_of(protocol: Protocol, folder: Path) -> Job:
    """Return the job of simulating it in a folder, in the written-out step."""
    return Job.of(folder, protocol, "cpu", 20.0, None, False, compiled=False)


def by_workers(protocol: Protocol, tasks: list[Task], jobs: int, folder: Path) -> dict[str, float]:
    """Simulate as `run` does; return seconds."""
    begun = time.perf_counter()
    ended = run_spread(
        job_of(protocol, folder), tasks, jobs, threading.Event(), lambda task, steps, note: None
    )
    assert ended
    return {"workers": time.perf_counter() - begun}


def one(job: Job, task: Task) -> bool:
    """Simulate one branch in a worker of Dask."""
    return simulate(job, task, lambda: False, lambda steps, note: None)


def by_dask(protocol: Protocol, tasks: list[Task], jobs: int, folder: Path) -> dict[str, float]:
    """Simulate on a LocalCluster; return seconds of all, and of the time that it was there."""
    job, begun = job_of(protocol, folder), time.perf_counter()
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=jobs,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        there = time.perf_counter()
        futures = [client.submit(one, job, task, pure=False) for task in tasks]
        assert all(client.gather(futures))
        inside = time.perf_counter() - there
    return {"dask": time.perf_counter() - begun, "dask, cluster there": inside}


Way = Callable[[Protocol, list[Task], int, Path], dict[str, float]]
WAYS: tuple[Way, ...] = (by_workers, by_dask)


def main() -> None:
    """Time both in turns; print medians, extremes, and ratios to the workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--branches", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cycles", type=int, default=40)
    given = parser.parse_args()
    protocol = protocol_of(given.branches, given.cycles)
    tasks = tasks_of(protocol, [0], list(protocol.tree.arms))
    found: dict[str, list[float]] = {}
    for turn in range(given.rounds):
        for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
            with tempfile.TemporaryDirectory() as folder:
                for name, seconds in way(protocol, tasks, given.jobs, Path(folder)).items():
                    found.setdefault(name, []).append(seconds)
                    print(f"round {turn}: {name} {seconds:.2f} s", flush=True)
    print(f"{given.branches} branches of {given.cycles} pairs, {given.jobs} processes, seconds:")
    print(f"{'':22}{'median':>8}{'least':>8}{'most':>8}{'ratio':>8}")
    for name, all_of_it in found.items():
        ratios = [a / b for a, b in zip(all_of_it, found["workers"], strict=True)]
        print(
            f"{name:22}{statistics.median(all_of_it):8.2f}{min(all_of_it):8.2f}"
            f"{max(all_of_it):8.2f}{statistics.median(ratios):8.2f}"
        )


if __name__ == "__main__":
    main()
