"""Written-out local rules against autograd of the same maths, side by side in one process.

    python benchmarks/local_step.py [--pairs 300] [--rounds 7]

Both forms take the same stimuli and the same noise; after the first pairs their weights are
compared, then they are timed in turns, on one thread. Prints medians and ratios.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from autograd_pair import AutogradPair, LeanPair
from torch import Tensor

from neuro_aws.backends.rate.build import build_algorithm, build_network, build_updates
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.model.network import NO_GAINS
from neuro_aws.phase import REM, WAKE, Phase
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.presets import completed
from neuro_aws.protocol.theories import AdversarialWakeSleep

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
    """Return seconds a pair."""
    start = time.perf_counter()
    for k in range(pairs):
        step(k)
    return (time.perf_counter() - start) / pairs


def compare(batch: int, pairs: int, rounds: int) -> list[float]:
    """Return median seconds a pair of the local, the usual and the lean autograd form."""
    all_forms, sizes, dtype = forms("float32")
    given = [numbers(sizes, batch, seed, dtype) for seed in range(20)]
    times: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for k, form in enumerate(all_forms):
            times[k].append(seconds(lambda n, f=form: f.pair(*given[n % 20]), pairs))  # type: ignore[misc]
    return [statistics.median(t) for t in times]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("64-128-32, credit layer, Adam, one thread; a pair is a wake and a REM step")
    print("batch   local  autograd  ratio   lean autograd  ratio   weights differ (float64)")
    for batch in (32, 64, 128):
        local, plain, lean = (1e3 * t for t in compare(batch, options.pairs, options.rounds))
        print(
            f"{batch:>5} {local:5.2f} ms {plain:6.2f} ms {plain / local:6.1f} "
            f"{lean:12.2f} ms {lean / local:6.1f} {disagreement(batch):14.1e}"
        )


if __name__ == "__main__":
    main()
