"""What is to be looked at on a GPU, in one command: `make gpu-check`. No card has been tried yet.

    python benchmarks/gpu_check.py [--device cuda] [--short] [--out benchmarks/gpu.json]

1. the laws that every algorithm obeys, on the device (tests/algorithms/test_conformance.py)
2. the device against the CPU, on the same stimuli and recorded noise: weights after 100 steps in
   float64 (1e-8), Deltas of the first step in float32 (1e-4)
3. a run that is killed and resumed, against the unbroken one, bit by bit
4. speed: a dense pair at 64-128-32 and 1,024 square, images a second of the published network, and
   one process under torchrun

Everything is written to a JSON file with the names of the card and of the versions. The exit status
is 1 if anything fails. `--device cpu --short` tries the script itself where there is no card.
"""

import argparse
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuro_aws.backends.rate.build import Animal, build_animal
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.experiment.compare import bits
from neuro_aws.functional.noise import Draws
from neuro_aws.perturbations import Slots
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.recording.reader import open_run

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
DENSE = """
schema_version: 3
name: gpu_check
stimulus: {{source: digits, batch: 64}}
network: {{layers: {layers}}}
schedule: [{{name: training, cycles: {cycles}, phases: [{{wake: 1}}, {{rem: 1}}]}}]
record: {{ach: {{every: 10}}, plasticity: {{every: 10}}}}
"""
CONV = """
schema_version: 3
name: gpu_check
preset: dcgan
stimulus: {{source: digits, side: 32, batch: {batch}}}
network: {{dcgan: {{filters: {filters}, latents: 40}}, products: {products}}}
schedule: [{{name: training, cycles: 10000, phases: [{{wake: 1}}, {{rem: 1}}]}}]
"""


class Moved:
    """Draws made on the CPU, put on the device."""

    def __init__(self, draws: Draws, device: torch.device) -> None:
        self.draws, self.device = draws, device

    def __getattr__(self, name: str) -> Any:
        draw = getattr(self.draws, name)
        return lambda *a: draw(*a).to(self.device)


class MovedStreams:
    """The streams of an animal as the CPU draws them, on the device."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.streams, self.device = Streams(0, dtype, CPU), device

    def __getattr__(self, name: str) -> Any:
        return _At(getattr(self.streams, name), self.device)


class _At:
    def __init__(self, stream: Any, device: torch.device) -> None:
        self.stream, self.device = stream, device

    def at(self, step: int) -> Moved:
        """Return the draws of one step."""
        return Moved(self.stream.at(step), self.device)


def engine_on(text: str, device: torch.device, precision: str | None = None) -> Engine:
    """Return an engine whose network began on the CPU; with a ``precision``, with its noise too."""
    overrides = () if precision is None else (f"network.precision={precision}",)
    spec = Protocol.from_text(text, "gpu_check", overrides).spec
    first, animal = build_animal(spec, 0, CPU), build_animal(spec, 0, device)
    animal.network.load_state_dict(
        {name: t.to(device) for name, t in first.network.state_dict().items()}
    )
    dtype = animal.dataset.train.dtype
    streams: Any = MovedStreams(dtype, device) if precision else Streams(0, dtype, device)
    return _engine(animal, spec, streams)


def _engine(animal: Animal, spec: Any, streams: Any) -> Engine:
    unperturbed = Slots()
    return Engine(
        animal.network, animal.algorithm, animal.updates, animal.dataset, Schedule(spec.schedule),
        streams, spec.stimulus.batch, lambda _: unperturbed,
    )  # fmt: skip


def conformance(device: str) -> dict[str, Any]:
    """Run the table of laws on the device."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/algorithms/test_conformance.py"]
    made = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NEURO_AWS_TEST_DEVICE": device},
    )  # fmt: skip
    return {"passed": made.returncode == 0, "said": made.stdout.strip().splitlines()[-1:]}


def against_cpu(device: torch.device, steps: int) -> dict[str, Any]:
    """Compare weights and first Deltas with those of the CPU, dense and convolutional."""
    found: dict[str, Any] = {}
    texts = {
        "dense": DENSE.format(layers="[64, 128, 32]", cycles=10000),
        "conv": CONV.format(filters=4, batch=16, products="exact"),
    }
    for (name, text), precision in itertools.product(texts.items(), ("float64", "float32")):
        engines = [engine_on(text, on, precision) for on in (CPU, device)]
        deltas = []
        for one in engines:
            kinds = one.step(0).deltas.items()
            tensors = {f"{k}/{n}": t.clone() for k, d in kinds for n, t in d.tensors.items()}
            deltas.append(tensors)
        found[f"{name}_deltas_{precision}"] = _apart(*deltas)
        for one in engines:
            for step in range(1, steps):
                one.step(step)
        states = (one.network.state_dict() for one in engines)
        found[f"{name}_weights_{precision}"] = _apart(*states)
    found["passed"] = all(
        found[f"{name}_weights_float64"] < 1e-8 and found[f"{name}_deltas_float32"] < 1e-4
        for name in texts
    )
    return found


def _apart(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> float:
    """Return the largest relative difference of any tensor."""
    apart = []
    for name, tensor in wanted.items():
        scale = float(tensor.norm()) or 1.0
        apart.append(float((tensor - found[name].to(CPU)).norm()) / scale)
    return max(apart) if all(map(math.isfinite, apart)) else math.inf


def kill_and_resume(device: str, cycles: int) -> dict[str, Any]:
    """Kill a run, resume it, and compare it with one that was left alone."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        text = DENSE.format(layers="[64, 128, 32]", cycles=cycles)
        (there / "p.yaml").write_text(text)
        started = [sys.executable, "-m", "neuro_aws", "run"]
        asked = ["p.yaml", "--device", device, "--jobs", "1", "--save-every", "0.2", "--out"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        quiet: dict[str, Any] = {"cwd": there, "env": environment, "stdout": subprocess.DEVNULL}
        subprocess.run([*started, *asked, "whole"], check=True, **quiet)
        process = subprocess.Popen([*started, *asked, "killed"], **quiet)
        while process.poll() is None and not list(there.glob("killed/*/*/parts/*/*/part_00001.h5")):
            time.sleep(0.02)
        killed = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        runs = [next((there / out / "gpu_check").iterdir()) for out in ("whole", "killed")]
        subprocess.run([*started, "--resume", str(runs[1])], check=True, **quiet)
        lines = list(bits(*(open_run(run) for run in runs)))
    same = bool(lines) and all("identical" in line for line in lines)
    return {"passed": killed and same, "said": lines if killed else ["ended before it was killed"]}


def speed(device: torch.device, short: bool) -> dict[str, Any]:
    """Return how fast steps are; ``images`` are images a second of a wake and a REM step."""
    found: dict[str, Any] = {}
    for layers in ("[64, 128, 32]", *([] if short else ["[64, 1024, 1024, 32]"])):
        text = DENSE.format(layers=layers, cycles=10000)
        found[f"dense {layers}, ms a pair"] = 1e3 * _seconds(engine_on(text, device))
    for products in ("exact", "tf32", "bfloat16") if device.type == "cuda" else ("exact",):
        for filters, batch in ((32, 256),) if not short else ((2, 8),):
            text = CONV.format(filters=filters, batch=batch, products=products)
            seconds = _seconds(engine_on(text, device), 2 if short else 20)
            found[f"{filters} filters, batch {batch}, {products}, images/s"] = batch / seconds
    return found


def _seconds(engine: Engine, pairs: int = 100) -> float:
    """Return seconds a pair, after a few to warm up."""
    cuda = torch.cuda.is_available()
    began = 0.0
    for pair in range(pairs + 3):
        if pair == 3:
            if cuda:
                torch.cuda.synchronize()
            began = time.perf_counter()
        engine.step(2 * pair)
        engine.step(2 * pair + 1)
    if cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / pairs


def torchrun(device: str) -> dict[str, Any]:
    """Run a protocol's short form by torchrun, one process."""
    with tempfile.TemporaryDirectory() as out:
        made = subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1", "-m",
                "neuro_aws", "run", str(ROOT / "protocols" / "digits_dcgan.yaml"), "--short",
                "--seeds", "1", "--device", device, "--out", out,
            ],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
    return {"passed": made.returncode == 0, "said": made.stderr.strip().splitlines()[-1:]}


def main() -> None:
    """Look at everything, say what was found, and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", help="of conformance, against_cpu, kill_and_resume, ...")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "gpu.json")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("no CUDA device is available to torch: nothing is measured")
    device = torch.device(options.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    found: dict[str, Any] = {"device": card, "torch": torch.__version__, "cuda": torch.version.cuda}
    looks: dict[str, Callable[[], dict[str, Any]]] = {
        "conformance": lambda: conformance(options.device),
        "against_cpu": lambda: against_cpu(device, 10 if options.short else 100),
        "kill_and_resume": lambda: kill_and_resume(options.device, 300 if options.short else 2000),
        "speed": lambda: speed(device, options.short),
        "torchrun": lambda: torchrun(options.device),
    }
    chosen = options.only.split(",") if options.only else list(looks)
    looks = {name: look for name, look in looks.items() if name in chosen}
    for name, look in looks.items():
        found[name] = look()
        print(name, json.dumps(found[name], indent=1), flush=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    failed = [name for name in looks if not found[name].get("passed", True)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
