"""A known answer: does a linear-Gaussian cortex find the principal subspace of its input?

    python analysis/linear_gaussian.py [--pairs 6000] [--seeds 5]

Stimuli are x = A z + noise in 8 dimensions, z in 2; the network is 8-2 and linear. The columns of
the learnt feedback weights must span the space of the two largest principal components. Prints
the largest principal angle between the two, in degrees, for every rule and seed.
"""

import argparse
import math

import numpy as np
import torch

from neuro_aws.backends.rate.build import build_algorithm, build_network, build_updates
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.metrics.statistics import estimate
from neuro_aws.perturbations import Slots
from neuro_aws.protocol.model import (
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    NetworkSection,
    Noise,
)
from neuro_aws.protocol.schedule import Schedule, StepSpec
from neuro_aws.protocol.schema import Block, Period
from neuro_aws.protocol.theories_of_cortex import AdversarialWakeSleep, WakeSleep
from neuro_aws.stimuli.dataset import Dataset

UNITS, LATENTS, SAMPLES = 8, 2, 20_000
RULES = {
    "layer": AdversarialWakeSleep(credit="layer"),
    "backprop": AdversarialWakeSleep(credit="backprop"),
    "wake_sleep": WakeSleep(name="wake_sleep"),
}


def stimuli(seed: int) -> Dataset:
    """Return stimuli with two strong directions and faint noise in all others."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.standard_normal((UNITS, LATENTS)))[0] * np.array([1.0, 0.7])
    x = rng.standard_normal((SAMPLES, LATENTS)) @ mixing.T
    x += 0.1 * rng.standard_normal((SAMPLES, UNITS))
    rows = torch.from_numpy(x).float()
    return Dataset(rows, None, rows[:1000], None, (1, UNITS))


def angle(feedback: torch.Tensor, dataset: Dataset) -> float:
    """Return the largest principal angle, degrees, between G's columns and the true subspace."""
    x = dataset.train.double()
    _, _, components = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    basis = torch.linalg.qr(feedback.double()).Q
    cosines = torch.linalg.svdvals(components[:LATENTS] @ basis)
    return math.degrees(math.acos(min(1.0, float(cosines.min()))))


def learn(rule: str, seed: int, pairs: int) -> tuple[float, float]:
    """Return the initial angle and the one after so many pairs of wake and REM."""
    dataset = stimuli(seed)
    network_section = NetworkSection(
        layers=(UNITS, LATENTS), bottom="linear", normalisation="none", noise=Noise(scale=0.1)
    )
    rates = {
        "feedforward": FeedforwardLearning(rate=3e-4),
        "feedback": FeedbackLearning(rate=1e-3),
        "discriminator": DiscriminatorLearning(rate=1e-3),
    }
    algorithm_section = RULES[rule].model_copy(update=rates)
    network = build_network(network_section, algorithm_section, seed, torch.device("cpu"))
    period = Period(name="learning", cycles=pairs, phases=(Block(wake=1), Block(rem=1)))
    schedule = Schedule((period,))
    usual = Slots(scales=schedule.stretches[0].scales)

    def slots(spec: StepSpec) -> Slots:
        return usual

    engine = Engine(
        network,
        build_algorithm(algorithm_section, network_section),
        build_updates(algorithm_section, network),
        dataset,
        schedule,
        Streams(seed, torch.float32, torch.device("cpu")),
        64,
        slots,
    )
    initial = angle(network.layers[0].feedback[0], dataset)
    for step in range(schedule.steps):
        engine.step(step)
    return initial, angle(network.layers[0].feedback[0], dataset)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"largest principal angle, degrees, after {options.pairs} pairs, {options.seeds} seeds")
    for rule in RULES:
        initial, angles = zip(
            *(learn(rule, seed, options.pairs) for seed in range(options.seeds)), strict=True
        )
        listed = " ".join(f"{a:.2f}" for a in angles)
        print(
            f"  {rule:<11} {listed}   mean {estimate(angles)}   largest {max(angles):.2f}"
            f"   (initially {estimate(initial).mean:.0f})"
        )


if __name__ == "__main__":
    main()
