"""The convolutional step against the plain autograd form of the published one, interleaved.

    python benchmarks/dcgan_step.py                     # all cases, one thread
    python benchmarks/dcgan_step.py --case aws --rounds 9

The plain form is ``tests/reference/published.py``: five passes and five readings with noise of
their own, penalties differentiated twice, equal to the golden vectors. The product's step does the
same maths with one noise draw a phase; ``layer`` and ``bfloat16`` are choices of its own. Medians
of the rounds in process CPU time (elapsed time on a GPU), their ratio, that ratio times what the
published training loop takes for one step of the plain form, and each one's peak memory in a
process of its own.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from neuro_aws.backends.rate import forms  # noqa: E402
from neuro_aws.backends.rate.build import build_algorithm, build_network, build_updates, device_of  # noqa: E402
from neuro_aws.backends.rate.engine import Engine, Streams  # noqa: E402
from neuro_aws.backends.rate.malloc import keep_memory  # noqa: E402
from neuro_aws.backends.rate.published_names import running_statistics, to_published  # noqa: E402
from neuro_aws.perturbations import Slots  # noqa: E402
from neuro_aws.protocol import Protocol  # noqa: E402
from neuro_aws.protocol.schedule import Schedule  # noqa: E402
from tests.reference.published import Experiment, fresh_draws  # noqa: E402

CASES = {
    # name: (preset, filters, latents, image channels, batch)
    "aws": ("published", 32, 40, 1, 256),
    "doubly": ("published_doubly", 32, 40, 1, 128),
    "cifar": ("published_doubly", 128, 100, 3, 32),
}
PUBLISHED = {"aws": 1.14, "doubly": 1.02, "cifar": 0.74}
"""What the published training loop took for one step of the plain form, side by side (CPU)."""

FORMS = {
    "same maths": (),
    "layer": ("algorithm.credit=layer",),
    "bfloat16": ("network.products=bfloat16",),
    "layer, bfloat16": ("algorithm.credit=layer", "network.products=bfloat16"),
}

TEXT = """
schema_version: 3
name: benchmark
preset: {preset}
stimulus: {{source: images, folder: ., side: 32, channels: {channels}, batch: {batch}}}
network:
  dcgan: {{filters: {filters}, latents: {latents}, channels: {channels}}}
  discriminator: {{hidden: {hidden}, draws: shared}}
schedule: [{{name: training, cycles: 100000, phases: [{{wake: 1}}, {{rem: 1}}]}}]
"""


class Pictures:
    """A dataset of one batch of numbers in [-1, 1]."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def sample(self, draws: object, batch: int) -> tuple[torch.Tensor, None]:
        """Return the batch."""
        return self.x, None


def product(
    case: str, more: tuple[str, ...], device: torch.device
) -> tuple[Callable[[], None], Engine]:
    """Return one cycle of the product."""
    preset, filters, latents, channels, batch = CASES[case]
    text = TEXT.format(
        preset=preset,
        filters=filters,
        latents=latents,
        channels=channels,
        batch=batch,
        hidden=4 * filters,
    )
    spec = Protocol.from_text(text, "benchmark", more).spec
    network = build_network(spec.network, spec.algorithm, 0, device)
    generator = torch.Generator(device).manual_seed(0)
    x = torch.rand(batch, channels, 32, 32, generator=generator, device=device) * 2 - 1
    engine = Engine(
        network,
        build_algorithm(spec.algorithm, spec.network),
        build_updates(spec.algorithm, network),
        Pictures(x),  # type: ignore[arg-type]
        Schedule(spec.schedule),
        Streams(0, torch.float32, device),
        batch,
        lambda _: Slots(),
        compiled=device.type == "cpu" and forms.installed(),
    )
    count = iter(range(10**9))

    def cycle() -> None:
        engine.step(2 * (k := next(count)))
        engine.step(2 * k + 1)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return cycle, engine


def plain(case: str, engine: Engine, device: torch.device) -> Callable[[], None]:
    """Return one step of the plain autograd form, from the product's initial weights."""
    preset, _, latents, _, batch = CASES[case]
    network = engine.network
    parameters = dict(running_statistics(network))
    for kind in network.kinds:
        parameters |= to_published(network, kind, network.parameters(kind))
    doubly = preset == "published_doubly"
    experiment = Experiment(
        parameters,
        gamma=0.9 if doubly else 1.0,
        penalty=0.7 if doubly else 0.9,
        rates=(8e-4, 2e-4, 1e-5, 1e-5) if doubly else (3e-4, 1e-5, 1e-4, 1e-5),
        betas=(0.0, 0.9) if doubly else (0.64, 0.999),
    )
    generator = torch.Generator(device).manual_seed(0)
    draw = fresh_draws(generator, torch.float32)
    x = engine.dataset.x  # type: ignore[attr-defined]

    def step() -> None:
        z = torch.randn(batch, latents, 1, 1, generator=generator, device=device)
        experiment.step(x, z, draw)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def seconds(act: Callable[[], None]) -> float:
    """Return how long one call takes: time of this process, where all the work is done in it."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    act()
    return clock() - start


def compare(case: str, rounds: int, device: torch.device) -> None:
    """Print medians and ratios of one case."""
    forms = {k: v for k, v in FORMS.items() if case == "aws" or "layer" not in k}
    cycles = {name: product(case, more, device) for name, more in forms.items()}
    acts = {"plain autograd": plain(case, cycles["same maths"][1], device)}
    acts |= {name: cycle for name, (cycle, _) in cycles.items()}
    for act in acts.values():
        act()
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            times[name].append(seconds(act))
    batch = CASES[case][-1]
    reference = statistics.median(times["plain autograd"])
    print(f"{case}: {CASES[case][1]} filters, batch {batch}, {rounds} rounds, {device}")
    for name, found in times.items():
        median = statistics.median(found)
        each = sorted(a / b for a, b in zip(times["plain autograd"], found, strict=True))
        print(
            f"  {name:16s} {1e3 * median:8.0f} ms {batch / median:8.0f} images/s"
            f"   ratio {reference / median:5.2f} [{each[0]:.2f}, {each[-1]:.2f}]"
            f"   to published {PUBLISHED[case] * reference / median:5.2f}"
            f"   peak {peak(case, name, device)} MB",
            flush=True,
        )


def peak(case: str, form: str, device: torch.device) -> int:
    """Return the peak memory of three steps of one form, in a process of its own."""
    arguments = [sys.executable, __file__, "--case", case, "--peak", form, "--device", str(device)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=ROOT)
    return int(found.stdout)


def report_peak(case: str, form: str, device: torch.device) -> None:
    """Print the peak memory of this process after three steps, less what it held before."""
    cycle, engine = product(case, FORMS.get(form, ()), device)
    act = plain(case, engine, device) if form == "plain autograd" else cycle
    before = highest()
    for _ in range(3):
        act()
    if device.type == "cuda":
        print(torch.cuda.max_memory_allocated() // 2**20)
    else:
        print((highest() - before) // 1024)


def highest() -> int:
    """Return the peak resident memory of this process, KB (getrusage's includes its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--case", choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_memory()
    device = device_of(arguments.device)
    if arguments.peak:
        report_peak(arguments.case, arguments.peak, device)
        return
    for case in [arguments.case] if arguments.case else CASES:
        compare(case, arguments.rounds, device)


if __name__ == "__main__":
    main()
