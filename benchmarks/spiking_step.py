"""What a second of biological time costs, and how that grows with neurons and synapses.

    python benchmarks/spiking_step.py                     # the sizes below, everything plastic
    python benchmarks/spiking_step.py --seconds 2 --sizes 64-40-16 --targets cython

Every size simulates the same seconds in turn, round after round, in one process (one thread); code
is compiled before the clock starts, and of cpp_standalone's program the run alone is counted.
Prints the median over rounds as seconds of biological time a second of wall time, the time of one
step, and that time for a million synapses.
"""

import argparse
import itertools
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from neuro_aws.backends.spiking.blocks import Drive
from neuro_aws.backends.spiking.brian2_compat import brian2, chosen_target
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.standalone import program
from neuro_aws.protocol import Protocol

SIZES = ("64-40-16", "64-200-40", "400-400-100", "800-600-200")
TEXT = """
schema_version: 3
name: benchmark
backend: spiking
stimulus: {{source: images, folder: ., side: {side}, held_out: 2}}
network: {{layers: {layers}}}
algorithm: {{name: adversarial_wake_sleep, credit: scalar}}
spiking: {{target: {target}, segment: {segment}}}
schedule: [{{name: training, cycles: 1, phases: [{{wake: 5}}, {{rem: 5}}]}}]
"""


def cortex(sizes: list[int], target: str, seconds: float) -> Cortex:
    """Return a cortex; the protocol's stimulus stands in for any layer 0."""
    text = TEXT.format(side=8, layers=[64, *sizes[1:]], target=target, segment=seconds)
    spec = Protocol.from_text(text).spec
    network = spec.network.model_copy(update={"layers": tuple(sizes)})
    chosen_target(target)
    return Cortex(spec.model_copy(update={"network": network}), 0)


def drive(made: Cortex, steps: int) -> Drive:
    """Return half a second of wake and of REM in turn, with every gate open."""
    rng = np.random.default_rng(0)
    wake = np.tile([1.0] * 5 + [0.0] * 5, steps)[:steps]
    potential = np.zeros((steps, made.count))
    potential[:, made.layer(0)] = rng.uniform(0, 0.9, (steps, made.sizes[0])) * wake[:, None]
    top = made.layer(len(made.sizes) - 1)
    potential[wake == 0, top] = rng.normal(0.6, 0.3, (int((wake == 0).sum()), made.sizes[-1]))
    gates = {"feedforward": wake, "feedback": wake, "homeostasis": wake, "ach": np.ones(steps)}
    return Drive(wake, potential, np.ones((steps, made.count)), gates, np.full(steps, np.nan))


def alone(sizes: list[int], seconds: float) -> float:
    """Return the seconds that a cpp_standalone program runs for, its compilation left out."""
    with program() as built:
        made = cortex(sizes, "cython", seconds)
        made.simulate(drive(made, round(seconds * 10)), 0, built=built)
        return float(brian2().device._last_run_time)


def main() -> None:
    """Print one line a size and target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="biological, a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES))
    parser.add_argument("--targets", nargs="+", default=["cython", "numpy", "cpp_standalone"])
    arguments = parser.parse_args()
    cases: dict[tuple[str, str], tuple[Cortex, Drive]] = {}
    steps = round(arguments.seconds * 10)
    for size in arguments.sizes:
        for target in arguments.targets:
            if target == "cpp_standalone":
                continue
            made = cortex([int(n) for n in size.split("-")], target, arguments.seconds)
            cases[size, target] = made, drive(made, steps)
            made.simulate(drive(made, steps), 0)
    taken: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for round_ in range(arguments.rounds):
        for case, (made, what) in list(cases.items()):
            chosen_target(case[1])
            begun = time.perf_counter()
            made.simulate(what, 1 + round_)
            taken[case].append(time.perf_counter() - begun)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    print(f"peak memory grew by {grown:.0f} MB in {arguments.rounds} rounds (Linux)")
    if "cpp_standalone" in arguments.targets:
        for size in arguments.sizes:
            numbers = [int(n) for n in size.split("-")]
            case = size, "cpp_standalone"
            taken[case] = [alone(numbers, arguments.seconds) for _ in range(arguments.rounds)]
    print("layers target | neurons synapses | x real time | us a step | us a step, 10^6 synapses")
    for (size, target), times in taken.items():
        numbers = [int(n) for n in size.split("-")]
        synapses = 2 * sum(a * b for a, b in itertools.pairwise(numbers))
        seconds = statistics.median(times)
        step = seconds / arguments.seconds * 1000  # us; dt is 1 ms
        print(
            f"{size:<12} {target:<14} | {sum(numbers):5d} {synapses:9,d} | "
            f"{arguments.seconds / seconds:6.2f} | {step:7.0f} | {step / synapses * 1e6:9.0f}"
        )


if __name__ == "__main__":
    main()
