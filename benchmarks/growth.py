"""How the time of a pair grows: width, batch, depth, recording, length, animals.

    python benchmarks/growth.py [--rounds 5] [--animals 64] [--out docs/growth.png]

The default network (homeostasis over time, learnt prior, credit `layer`), noise drawn, one thread;
CPU time of the process, medians over rounds of both forms of the step in turns. `share` is the rate
of the necessary products (5 products a connection of F and G, 8 a connection of D, a pair) over
that of one sgemm of 1,024 square, measured in the same minute. Width w: layers w, w, 32, as the
mixture of a learnt prior grows with the cube of the top layer. Prints tables, draws one figure.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from torch import Tensor

from neuro_aws import Options, Protocol, run
from neuro_aws.backends.base import make
from neuro_aws.backends.rate.build import build_algorithm, build_network, build_updates
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.perturbations import Slots
from neuro_aws.plots.style import WIDTH, Axes, Figure, figure, save, styled
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period
from neuro_aws.protocol.theories_of_cortex import AdversarialWakeSleep
from neuro_aws.recording.writer import Writer

HERE = Path(__file__).parent
CPU = torch.device("cpu")
FORMS = {"compiled": True, "written-out": False}
Row = tuple[str, str, list[float], float]
"""What grows, its value, ms a pair of each form, and the share of sgemm's rate of the first."""


class Numbers:
    """A dataset of one batch of numbers in [-1, 1]."""

    def __init__(self, batch: int, pixels: int) -> None:
        self.x = torch.tanh(torch.randn(batch, pixels, generator=torch.Generator().manual_seed(0)))

    def sample(self, draws: object, batch: int) -> tuple[Tensor, None]:
        """Return the batch."""
        return self.x, None


def engine_of(layers: tuple[int, ...], batch: int, compiled: bool) -> Engine:
    """Return an engine of the default network with these layers."""
    section, theory = NetworkSection(layers=layers), AdversarialWakeSleep()
    network = build_network(section, theory, 0, CPU)
    phases, unperturbed = (Block(wake=1), Block(rem=1)), Slots()
    return Engine(
        network,
        build_algorithm(theory, section),
        build_updates(theory, network),
        Numbers(batch, layers[0]),  # type: ignore[arg-type]
        Schedule((Period(name="training", cycles=10**6, phases=phases),)),
        Streams(0, torch.float32, CPU),
        batch,
        lambda _: unperturbed,
        compiled=compiled,
    )


def flops(layers: tuple[int, ...], batch: int) -> float:
    """Return the floating point operations of a pair's necessary products."""
    hidden, n = NetworkSection().discriminator.hidden, len(layers)
    connections = sum(a * b for a, b in pairwise(layers))
    read = sum(size * hidden * (1 if j in (0, n - 1) else 2) for j, size in enumerate(layers))
    return 2.0 * batch * (5 * connections + 8 * read)


def sgemm_rate() -> float:
    """Return floating point operations a second of one product, 1,024 square."""
    a, b = torch.randn(2, 1024, 1024).unbind()
    out, found = torch.empty_like(a), []
    for _ in range(5):
        began = time.process_time()
        torch.mm(a, b, out=out)
        found.append(2 * 1024**3 / (time.process_time() - began))
    return statistics.median(found)


def ms_a_pair(layers: tuple[int, ...], batch: int, rounds: int, most: int = 300) -> list[float]:
    """Return the median CPU time of a pair of each form, in turns."""
    engines = [engine_of(layers, batch, compiled) for compiled in FORMS.values()]
    pairs = min(max(2, int(2e9 / flops(layers, batch))), most)
    times: list[list[float]] = [[] for _ in engines]
    at = 0
    for one in engines:
        one.run(4)
    for _ in range(rounds):
        for one, found in zip(engines, times, strict=True):
            began = time.process_time()
            for step in range(4 + at, 4 + at + 2 * pairs):
                one.step(step)
            found.append(1e3 * (time.process_time() - began) / pairs)
        at += 2 * pairs
    return [statistics.median(found) for found in times]


def sizes(rounds: int, largest: int, most: int) -> list[Row]:
    """Return how a pair's time grows with width, batch and depth."""
    cases: list[tuple[str, str, tuple[int, ...], int]] = []
    widths = [w for w in (64, 128, 256, 512, 1024, 2048) if w <= largest]
    cases += [("width", f"{w:,} square", (w, w, 32), 64) for w in widths]
    cases += [("batch", str(b), (64, 128, 32), b) for b in (16, 32, 64, 128, 256, 512)]
    cases += [("depth", f"{n} layers", (64, *[128] * (n - 1), 32), 64) for n in (1, 2, 4, 8)]
    rate, rows = sgemm_rate(), []
    for what, value, layers, batch in cases:
        found = ms_a_pair(layers, batch, rounds, most)
        share = flops(layers, batch) / (found[0] * 1e-3) / rate
        rows.append((what, value, found, share))
        print(f"{what:7} {value:13} " + " ".join(f"{t:9.2f}" for t in found) + f" {share:7.2f}")
    return rows


TEXT = """
schema_version: 3
name: growth
stimulus: {{source: digits, batch: 64}}
schedule: [{{name: learning, cycles: {cycles}, phases: [{{wake: 1}}, {{rem: 1}}]}}]
record: {record}
"""
RECORDS = {
    "every 100 steps": "{ach: {every: 100}, plasticity: {every: 100}}",
    "ACh, plasticity, every step": "{ach: {every: 1}, plasticity: {every: 1}}",
    "and all units of layer 1": "{ach: {every: 1}, plasticity: {every: 1}, "
    "activity: [{layer: 1, every: 1}]}",
}


def whole_run(cycles: int, record: str, animals: int = 1, jobs: int = 1) -> float:
    """Return the wall time of a run without its figures, in seconds."""
    protocol = Protocol.from_text(TEXT.format(cycles=cycles, record=record), "growth")
    with (
        tempfile.TemporaryDirectory() as out,
        patch("neuro_aws.plots.figures.draw_run", lambda _: []),
    ):
        began = time.perf_counter()
        run(protocol, options=Options(out=out, jobs=jobs, seeds=animals))
        return time.perf_counter() - began


NOTHING = (
    "record.ach.every=1000000000",
    "record.plasticity.every=1000000000",
    "record.activity=[]",
    "record.samples.every=0",
)
"""What leaves out all that a protocol records step by step."""


def recorded_steps(rounds: int, pairs: int) -> None:
    """Print what all that `critical_period` records costs, step by step, over nothing of it."""
    shipped = HERE.parent / "protocols/critical_period.yaml"
    with tempfile.TemporaryDirectory() as folder:
        for name, compiled in FORMS.items():
            every, nothing = (
                Advancing(Protocol.load(shipped, changes), compiled, Path(folder) / f"{name}{k}")
                for k, changes in enumerate(((), NOTHING))
            )
            with_, without, ratios = [], [], []
            for k in range(rounds):
                turns = (every, nothing) if k % 2 else (nothing, every)
                times = {id(one): one.ms_a_pair(pairs) for one in turns}
                with_.append(times[id(every)])
                without.append(times[id(nothing)])
                ratios.append(with_[-1] / without[-1])
            print(f"recorded as in critical_period, {name:11}: {statistics.median(with_):.3f} ms a"
                  f" pair, nothing {statistics.median(without):.3f}; ratio, median of {rounds}"
                  f" rounds {statistics.median(ratios):.3f}")  # fmt: skip


class Advancing:
    """One animal in the common run of a protocol, its recording written into a folder."""

    def __init__(self, protocol: Protocol, compiled: bool, folder: Path) -> None:
        self.simulator = make(protocol, TRUNK, 0, compiled=compiled)
        spec = protocol.spec
        self.out = Writer(folder, backend_of(spec).columns(spec), [], 0)
        self.step = 0
        self.ms_a_pair(20)

    def ms_a_pair(self, pairs: int) -> float:
        """Return the CPU time of a pair, without saving: a run does that every 20 seconds."""
        start, self.step = self.step, self.step + 2 * pairs
        began = time.process_time()
        self.simulator.advance(start, self.step, self.out, lambda: False)
        took = time.process_time() - began
        self.out.flush(self.step)
        return 1e3 * took / pairs


def recording(rounds: int, cycles: int) -> None:
    """Print what recording costs: whole runs in turns, per pair over the sparsest."""
    times: dict[str, list[float]] = {name: [] for name in RECORDS}
    for _ in range(rounds):
        for name, record in RECORDS.items():
            times[name].append(whole_run(cycles, record))
    least = next(iter(times.values()))
    for name, found in times.items():
        more = statistics.median(1e3 * (a - b) / cycles for a, b in zip(found, least, strict=True))
        print(f"recording {name:30} {1e3 * statistics.median(found) / cycles:6.2f} ms a pair"
              f" {more:+6.3f}")  # fmt: skip


def memory(lengths: Sequence[int]) -> list[float]:
    """Return the peak memory of a process after runs of so many pairs, the shortest first, MB."""
    code = (
        f"import growth\nfor cycles in {tuple(lengths)}:\n"
        "    growth.whole_run(cycles, growth.RECORDS['every 100 steps'])\n"
        "    print('peak', growth.peak())"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE, check=True, capture_output=True, text=True
    )
    said = [line.split() for line in made.stdout.splitlines()]
    return [float(words[1]) for words in said if words[:1] == ["peak"]]


def peak() -> float:
    """Return the peak memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", type=int, default=2048)
    parser.add_argument("--animals", type=int, default=64)
    parser.add_argument(
        "--pairs", type=int, default=2000, help="of whole runs; at most 300 of a step"
    )
    parser.add_argument("--turns", type=int, default=20, help="rounds of recorded steps in a round")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "growth.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("what    value          " + "  ".join(FORMS) + "  ms a pair;  share of sgemm (compiled)")
    rows = sizes(options.rounds, options.largest, min(300, options.pairs))
    recorded_steps(options.turns * options.rounds, min(52, options.pairs))
    recording(options.rounds, options.pairs)
    lengths = (options.pairs, 4 * options.pairs)
    for cycles, most in zip(lengths, memory(lengths), strict=True):
        print(f"length  {cycles:,} pairs: peak memory {most:.0f} MB")
    animals, times = [n for n in (1, 4, 16, 64) if n <= options.animals], []
    for n in animals:
        times.append(whole_run(options.pairs, RECORDS["every 100 steps"], n, options.jobs))
        print(f"animals {n}: {times[-1]:.1f} s in {options.jobs} processes")
    with styled():
        print("figure", save(draw(rows, animals, times, options.jobs), options.out))


def draw(rows: list[Row], animals: list[int], times: list[float], jobs: int) -> Figure:
    """Draw time over width, batch, depth and animals, on logarithmic axes."""
    drawn = figure(WIDTH, 2.2)
    panels = drawn.subplots(1, 4)
    for axes, what in zip(panels, ("width", "batch", "depth"), strict=False):
        chosen = [row for row in rows if row[0] == what]
        x = [int(row[1].split()[0].replace(",", "")) for row in chosen]
        for k, name in enumerate(FORMS):
            axes.plot(x, [row[2][k] for row in chosen], marker=".", label=name)
        logarithmic(axes, x, what, "CPU time of a pair (ms)")
    panels[0].legend(fontsize=5.5)
    panels[3].plot(animals, times, marker=".")
    logarithmic(panels[3], animals, "animals", f"run in {jobs} processes (s)")
    return drawn


def logarithmic(axes: Axes, x: list[int], xlabel: str, ylabel: str) -> None:
    """Give an axis in steps of its own values, and one of plain numbers."""
    axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks(x, [f"{value:,}" for value in x], rotation=60)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())


if __name__ == "__main__":
    main()
