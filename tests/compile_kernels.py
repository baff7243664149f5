"""Compiles the kernels of the dense step for both precisions at once: python -m tests.compile_kernels.

Before the tests, whose workers would each compile what the others have not kept yet.
"""

import importlib.util
import multiprocessing

from neuro_aws import Session
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

PRECISIONS = ("float32", "float64")


def compile_kernels(precision: str) -> None:
    """Take steps of every phase: between them, the theories that have kernels have them all."""
    for theory in ("adversarial_wake_sleep", "wake_sleep"):
        settings = (f"network.precision={precision}", f"algorithm.name={theory}")
        Session(Protocol.from_text(TINY, "tiny.yaml", settings), step="compiled").step(7)


def main() -> None:
    """Compile in two processes; nothing where there is no numba."""
    if importlib.util.find_spec("numba") is None:
        return
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=compile_kernels, args=(p,)) for p in PRECISIONS]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("the kernels do not compile")


if __name__ == "__main__":
    main()
