"""The step in its two forms against its peers, side by side in one process, on one thread.

    python benchmarks/local_step.py [--pairs 300] [--rounds 7]
    python benchmarks/local_step.py --given     # written-out rules against torch's autograd

First all forms of the reference network take the same stimuli and the same noise, in float64, and
their weights are compared. Then each draws its own stimuli and noise, as in a run, and they are
timed in turns: process CPU time, medians over rounds.

reference   64-128-32, credit `layer`, `preset: without_homeostasis`; beside JAX (``jax_pair``), one
            call of jit and scan for all pairs of a round, and torch.compile (``torch_compiled``),
            which needs a C++ compiler and half a minute for each size of batch
default     the default network: homeostasis over time, learnt prior
"""

import argparse
import importlib.util
import os
import shutil
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from autograd_pair import AutogradPair, LeanPair
from torch import Tensor
from torch_compiled import KINDS, CompiledRules

from neuro_aws.backends.rate.build import (
    build_algorithm,
    build_animal,
    build_network,
    build_updates,
)
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.experiment.session import one_thread
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.model.network import NO_GAINS
from neuro_aws.perturbations import Slots
from neuro_aws.phase import REM, WAKE, Phase
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.presets import completed
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period
from neuro_aws.protocol.theories_of_cortex import AdversarialWakeSleep

Numbers = tuple[Tensor, list[Tensor], Tensor, list[Tensor]]


def numbers(sizes: tuple[int, ...], batch: int, seed: int, dtype: torch.dtype) -> Numbers:
    """Return stimuli and noise of one pair."""
    generator = torch.Generator().manual_seed(seed)

    def normal(units: int) -> Tensor:
        return torch.randn(batch, units, generator=generator, dtype=dtype)

    up = [normal(n) for n in sizes[1:]]
    down = [normal(n) for n in sizes[-2::-1]]
    return torch.tanh(normal(sizes[0])), up, normal(sizes[-1]), down


class LocalPair:
    """The product's own step."""

    def __init__(self, network_section: NetworkSection, section: AdversarialWakeSleep) -> None:
        device = torch.device("cpu")
        self.network = build_network(network_section, section, 0, device)
        self.algorithm = build_algorithm(section, network_section)
        self.updates = build_updates(section, self.network)

    def pair(self, x: Tensor, up: list[Tensor], top: Tensor, down: list[Tensor]) -> None:
        """Take a wake step and a REM step."""
        for phase, stimulus, noise in ((WAKE, x, up), (REM, top, down)):
            with torch.inference_mode():
                self.step(phase, stimulus, RecordedNoise(noise))

    def step(self, phase: Phase, stimulus: Tensor, noise: RecordedNoise) -> None:
        """Take one step, as the engine does."""
        state = self.algorithm.propagate(self.network, stimulus, phase, noise, NO_GAINS)
        ach = self.network.acetylcholine(state)
        deltas = self.algorithm.deltas(self.network, state, ach, phase)
        self.network.apply(self.updates(deltas, {}, phase is REM))
        self.network.acetylcholine.track(ach, state)


Forms = tuple[LocalPair, AutogradPair, LeanPair]


def forms(precision: str) -> tuple[Forms, tuple[int, ...], torch.dtype]:
    """Return all forms, started from the same weights."""
    held = completed({"preset": "without_homeostasis"})["network"]
    network_section = NetworkSection(precision=precision, **held)  # type: ignore[arg-type]
    section = AdversarialWakeSleep()
    local = LocalPair(network_section, section)
    dtype = torch.float64 if precision == "float64" else torch.float32
    autograd, lean = (kind(local.network, section) for kind in (AutogradPair, LeanPair))
    assert isinstance(lean, LeanPair)
    return (local, autograd, lean), network_section.layers, dtype


def disagreement(batch: int, pairs: int = 5) -> float:
    """Return the largest relative difference of any weight after some pairs, in float64."""
    (local, *others), sizes, dtype = forms("float64")
    for seed in range(pairs):
        given = numbers(sizes, batch, seed, dtype)
        local.pair(*given)
        for other in others:
            other.pair(*given)
    worst = 0.0
    for other in others:
        for kind, theirs in other.parameters().items():
            for name, wanted in theirs.items():
                ours = local.network.parameters(kind)[name]
                scale = wanted.detach().norm().item() or 1.0
                worst = max(worst, (ours - wanted.detach()).norm().item() / scale)
    return worst


def seconds(step: Callable[[int], None], pairs: int) -> float:
    """Return seconds of CPU time a pair."""
    start = time.process_time()
    for k in range(pairs):
        step(k)
    return (time.process_time() - start) / pairs


def compare(batch: int, pairs: int, rounds: int) -> list[float]:
    """Return median seconds a pair of the local, the usual and the lean autograd form."""
    all_forms, sizes, dtype = forms("float32")
    given = [numbers(sizes, batch, seed, dtype) for seed in range(20)]
    times: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for k, form in enumerate(all_forms):
            times[k].append(seconds(lambda n, f=form: f.pair(*given[n % 20]), pairs))  # type: ignore[misc]
    return [statistics.median(t) for t in times]


PROTOCOL = """
schema_version: 3
{preset}name: pair
stimulus: {{source: digits, batch: 32}}
schedule: [{{name: all, cycles: 1, phases: [{{wake: 1}}, {{rem: 1}}]}}]
"""

PRESETS = {"reference": "preset: without_homeostasis\n", "default": ""}


def engine(network: str, batch: int, compiled: bool) -> Engine:
    """Return the engine of an animal, which draws stimuli and noise as in a run."""
    spec = Protocol.from_text(PROTOCOL.format(preset=PRESETS[network]), network).spec
    built, slots = build_animal(spec, 0, torch.device("cpu")), Slots()
    pair = Period(name="all", cycles=1_000_000, phases=(Block(wake=1), Block(rem=1)))
    return Engine(
        built.network,
        built.algorithm,
        built.updates,
        built.dataset,
        Schedule((pair,)),
        Streams(0, torch.float32, torch.device("cpu")),
        batch,
        lambda _: slots,
        compiled=compiled,
    )


Round = Callable[[int], None]
"""Takes so many pairs."""


def stepping(one: Engine) -> Round:
    """Return what takes pairs of an engine."""
    at = 0

    def run(pairs: int) -> None:
        nonlocal at
        for step in range(at, at + 2 * pairs):
            one.step(step)
        at += 2 * pairs

    return run


def jax_rounds(batch: int) -> dict[str, Round]:
    """Return the forms in JAX, if it is installed."""
    if importlib.util.find_spec("jax") is None:
        return {}
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", flags)
    import jax.numpy as jnp
    import jax_pair

    built = engine("reference", batch, False)
    stimuli = jnp.asarray(built.dataset.train.numpy())

    def of(pair: Any) -> Round:
        runner = jax_pair.Runner(pair, built.network, AdversarialWakeSleep())
        return lambda pairs: runner.run(stimuli, batch, pairs)

    return {"JAX autograd": of(jax_pair.autograd_pair), "JAX local": of(jax_pair.local_pair)}


def jax_disagreement(batch: int, pairs: int = 5) -> float:
    """Return the largest relative difference of JAX's weights from the project's, in float64."""
    import jax
    import jax.numpy as jnp
    import jax_pair
    import numpy as np

    worst = 0.0
    with jax.enable_x64(True):
        (local, *_), sizes, dtype = forms("float64")
        runners = [
            jax_pair.Runner(pair, local.network, AdversarialWakeSleep())
            for pair in (jax_pair.autograd_pair, jax_pair.local_pair)
        ]
        for seed in range(pairs):
            given = numbers(sizes, batch, seed, dtype)
            local.pair(*given)
            x, up, top, down = given
            arrays = [jnp.asarray(x.numpy()), [jnp.asarray(t.numpy()) for t in up]]
            arrays += [jnp.asarray(top.numpy()), [jnp.asarray(t.numpy()) for t in down]]
            for runner in runners:
                runner.pair(jax_pair.Numbers(*arrays))
        for runner in runners:
            for kind, found in jax_pair.by_kind(runner.weights).items():
                for ours, (name, t) in zip(
                    found, local.network.parameters(kind).items(), strict=True
                ):
                    if (
                        name == "discriminator_bias"
                    ):  # wake and REM cancel: Adam divides by residues
                        continue
                    scale = float(t.norm()) or 1.0
                    worst = max(worst, float(np.linalg.norm(ours - t.numpy())) / scale)
    return worst


def torch_rounds(batch: int) -> dict[str, Round]:
    """Return the written-out rules under torch.compile, if there is a C++ compiler."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        return {}
    built = engine("reference", batch, False)
    rules = CompiledRules(built.network, built.algorithm, built.updates)
    stimuli = built.dataset.train

    def run(pairs: int) -> None:
        for _ in range(pairs):
            rules.pair(stimuli[torch.randint(len(stimuli), (batch,))], None)

    return {"torch.compile": run}


def torch_disagreement(batch: int, pairs: int = 5) -> float:
    """Return the largest relative difference of its weights from the project's, in float64."""
    (local, *_), sizes, dtype = forms("float64")
    (other, *_), _, _ = forms("float64")
    rules, worst = CompiledRules(other.network, other.algorithm, other.updates), 0.0
    for seed in range(pairs):
        x, up, top, down = numbers(sizes, batch, seed, dtype)
        local.pair(x, up, top, down)
        rules.pair(x, (up, top, down))
    for kind, flat in zip(KINDS, rules.weights, strict=True):
        wanted = local.network.parameters(kind)
        for name, ours in local.network.named(kind, flat).items():
            if name == "discriminator_bias":  # wake and REM cancel: Adam divides by residues
                continue
            scale = float(wanted[name].norm()) or 1.0
            worst = max(worst, float((ours - wanted[name]).norm()) / scale)
    return worst


def timed(rounds: dict[str, Round], pairs: int, count: int) -> dict[str, float]:
    """Return median ms a pair of each form, timed in turns."""
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for run in rounds.values():
        run(pairs)  # compile, and find the way into the caches
    for _ in range(count):
        for name, run in rounds.items():
            start = time.process_time()
            run(pairs)
            times[name].append((time.process_time() - start) / pairs * 1e3)
    return {name: statistics.median(found) for name, found in times.items()}


def forms_and_peers(pairs: int, rounds: int, compiling: bool) -> None:
    """Print the table of both forms and their peers."""
    print("ms a pair; stimuli and noise drawn; in brackets: times the compiled form")
    for network in PRESETS:
        for batch in (32, 64, 128):
            with one_thread():
                all_rounds = {
                    "compiled": stepping(engine(network, batch, True)),
                    "written-out": stepping(engine(network, batch, False)),
                }
                if network == "reference":
                    all_rounds |= jax_rounds(batch)
                    all_rounds |= torch_rounds(batch) if compiling else {}
                found = timed(all_rounds, pairs, rounds)
            first = found["compiled"]
            cells = [f"{name} {ms:.3f} ({ms / first:.2f})" for name, ms in found.items()]
            print(f"{network:<10} batch {batch:>3}  " + "  ".join(cells), flush=True)


def against_autograd(pairs: int, rounds: int) -> None:
    """Print the table of the written-out rules and torch's autograd, numbers given."""
    print("64-128-32, credit layer, Adam, one thread; a pair is a wake and a REM step")
    print("batch   local  autograd  ratio   lean autograd  ratio   weights differ (float64)")
    for batch in (32, 64, 128):
        local, plain, lean = (1e3 * t for t in compare(batch, pairs, rounds))
        print(
            f"{batch:>5} {local:5.2f} ms {plain:6.2f} ms {plain / local:6.1f} "
            f"{lean:12.2f} ms {lean / local:6.1f} {disagreement(batch):14.1e}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--given", action="store_true", help="against torch's autograd only")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.given:
        against_autograd(options.pairs, options.rounds)
        return
    forms_and_peers(options.pairs, options.rounds, not options.no_compile)
    if importlib.util.find_spec("jax") is not None:
        apart = jax_disagreement(32)
        print(f"weights (D's bias apart) differ from JAX's by {apart:.1e} after 5 pairs, float64")
    if not options.no_compile:
        print(f"and from torch.compile's by {torch_disagreement(32):.1e}")


if __name__ == "__main__":
    main()
