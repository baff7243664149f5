"""Explaining away: the causes of what is seen, as the code of a DDC Helmholtz machine has them.

    python analysis/ddc_explaining_away.py [--seeds 5] [--samples 40000] [--out ...]

Two binary causes of a binary x, and two Laplacian causes of a Gaussian x; the generative model
stays as it is, sleep alone learns. Printed: covariance of the causes given x, as the code has it,
over the exact one (by enumeration; by a sum over the plane), and that of classic Wake-Sleep's
recognition, whose causes are independent given x by construction.
"""

import argparse
import itertools
from pathlib import Path

import torch
from ddc_gaussian import BATCH, SIGMA, draws, machine, section, sleep
from torch import Tensor

from neuro_aws.algorithms.ddc_helmholtz import DdcHelmholtz, Expected
from neuro_aws.algorithms.wake_sleep import WakeSleep
from neuro_aws.backends.rate.build import build_network
from neuro_aws.functional import ddc
from neuro_aws.functional.noise import Draws
from neuro_aws.metrics.statistics import estimate
from neuro_aws.model.network import Network
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, READOUT, REM
from neuro_aws.plots.style import figure, save, styled
from neuro_aws.protocol import theories_of_expectations as sections
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.theories_of_cortex import WakeSleep as WakeSleepSection


def pairs_of_causes(network: Network, algorithm: DdcHelmholtz, noise: Draws, steps: int) -> Tensor:
    """Return a further read-out of the code: of all products of two causes; binary units too."""
    weights, covariance = None, None
    for step in range(steps):
        top = algorithm.top(network, network.prior(BATCH, noise), noise)
        code, target = algorithm.code(network, 1, top), ddc.pairs(top)
        weight = 2 / (step + 2)
        covariance = ddc.followed(covariance, code, weight)
        weights = code.new_zeros(target.shape[1], code.shape[1]) if weights is None else weights
        read = ddc.decorrelated(code, covariance)
        weights = weights + weight * ddc.code_plasticity(target, code @ weights.mT, read)
    assert weights is not None
    return weights


def covariance_of(network: Network, algorithm: DdcHelmholtz, weights: Tensor, x: Tensor) -> Tensor:
    """Return the covariance of the two causes given each stimulus, as the code has it."""
    codes = algorithm.recognise(network, x, None).graph
    assert isinstance(codes, Expected)
    mean = codes.codes[1][:, :2]
    return ddc.square(codes.codes[1] @ weights.mT, mean)[:, 0, 1] - mean[:, 0] * mean[:, 1]


def binary_causes(seed: int, steps: int) -> tuple[float, float, float]:
    """Return the covariance given x = 1: exact, of the code, and of Wake-Sleep's recognition."""
    given = section((1, 2), binary=True)
    network, algorithm = machine(given, seed, functions=16, expansion=8)
    network.layers[0].feedback[0].fill_(4.0)
    network.layers[0].feedback[1].fill_(-3.0)
    theta = network.parameters(FEEDBACK)[sections.PRIOR].fill_(-1.0)
    noise = draws(400 + seed)
    for _ in range(steps):
        sleep(network, algorithm, noise)
    x = torch.ones(1, 1).double()
    weights = pairs_of_causes(network, algorithm, noise, steps)
    found = float(covariance_of(network, algorithm, weights, x))
    causes = torch.tensor([*itertools.product((0.0, 1.0), repeat=2)]).double()
    chance = torch.exp(causes @ theta) * torch.sigmoid(causes.sum(1) * 4 - 3)
    chance = chance / chance.sum()
    mean = chance @ causes
    exact_one = float(chance @ causes.prod(1) - mean.prod())
    return exact_one, found, factorised(given, network, algorithm, seed, steps)


def factorised(
    given: NetworkSection, truth: Network, machine: DdcHelmholtz, seed: int, steps: int
) -> float:
    """Return the covariance of causes that classic Wake-Sleep recognises in x = 1, sampled."""
    own = WakeSleepSection(name="wake_sleep")
    network, algorithm = build_network(given, own, seed, torch.device("cpu")), WakeSleep(own, given)
    for kept, tensor in zip(truth.layers[0].feedback, network.layers[0].feedback, strict=True):
        tensor.copy_(kept)
    noise = draws(500 + seed)
    for step in range(steps):
        top = machine.top(truth, truth.prior(BATCH, noise), noise)
        state = algorithm.propagate(network, top, REM, noise, {})
        deltas = algorithm.deltas(network, state, network.acetylcholine(state), REM)
        for name, tensor in network.parameters(FEEDFORWARD).items():
            tensor.add_(deltas[FEEDFORWARD].tensors[name], alpha=2.0 / (1 + step / 50))
    causes = network.recognise(torch.ones(100_000, 1).double(), noise).somas[1]
    return float(torch.cov(causes.mT)[0, 1])


SEEN = torch.linspace(-3, 3, 25, dtype=torch.float64)[:, None]
"""Stimuli at which sparse causes are explained away."""


def sparse_causes(seed: int, steps: int) -> Tensor:
    """Return the covariance of two Laplacian causes given each of ``SEEN``, as the code has it."""
    given = section((1, 2))
    network, algorithm = machine(
        given, seed, functions=64, expansion=64, causes="laplacian", gain=2.0
    )
    network.layers[0].feedback[0].fill_(1.0)
    noise = draws(600 + seed)
    for _ in range(steps):
        sleep(network, algorithm, noise)
    readout = network.parameters(READOUT)[sections.beta(1)]
    return covariance_of(network, algorithm, readout, SEEN)


def exact_sparse() -> tuple[Tensor, Tensor]:
    """Return the same, exact, and p(x), by a sum over the plane."""
    line = torch.linspace(-12, 12, 601, dtype=torch.float64)
    causes = torch.cartesian_prod(line, line)
    prior = -(2**0.5) * causes.abs().sum(1)
    logs = prior - (SEEN - causes.sum(1)).square() / (2 * SIGMA**2)
    chance = torch.softmax(logs, 1)
    mean = chance @ causes
    density = torch.logsumexp(logs, 1).exp()
    return chance @ causes.prod(1) - mean.prod(1), density / density.sum()


def main() -> None:
    """Print covariances of causes given what they cause, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=40_000, help="dreams")
    parser.add_argument("--out", type=Path, default=Path("ddc_explaining_away.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        drawn_from = found_by(options)
    draw(*drawn_from, options.out)
    print(options.out)


def found_by(options: argparse.Namespace) -> tuple[list[tuple[float, ...]], Tensor, Tensor]:
    """Return binary causes' covariances, sparse causes' exact ones, and those of every seed."""
    steps, seeds = max(1, options.samples // BATCH), range(options.seeds)
    columns = list(zip(*(binary_causes(seed, steps) for seed in seeds), strict=True))
    ratio = estimate([found / true for true, found in zip(*columns[:2], strict=True)])
    print(f"two binary causes, x = 1: exact covariance {columns[0][0]:.4f}")
    print(f"  code {estimate(columns[1])}, over exact {ratio}; Wake-Sleep {estimate(columns[2])}")
    wanted, density = exact_sparse()
    found = torch.stack([sparse_causes(seed, steps) for seed in seeds])
    shares = [float(row @ density / (wanted @ density)) for row in found]
    print(f"two Laplacian causes: exact covariance, mean over x {float(wanted @ density):.4f}")
    apart = [
        float(((row - wanted).square() @ density / (wanted.square() @ density)).sqrt())
        for row in found
    ]
    print(f"  code over exact {estimate(shares)}, error by x {estimate(apart)}; factorised: 0")
    return columns, wanted, found


def draw(columns: list[tuple[float, ...]], wanted: Tensor, found: Tensor, path: Path) -> None:
    """Draw what was printed."""
    at = [estimate(found[:, k].tolist()) for k in range(len(SEEN))]
    with styled():
        drawn = figure(7.2, 2.6)
        left, right = drawn.subplots(1, 2, width_ratios=(1, 2))
        spread = [estimate(column) for column in columns[:3]]
        left.bar(range(3), [s.mean for s in spread], color=["#3B3B3B", "#D55E00", "#0072B2"],
                 yerr=[[max(s.mean - s.low, 0) for s in spread],
                       [max(s.high - s.mean, 0) for s in spread]], capsize=2)  # fmt: skip
        left.set_xticks(range(3), ["exact", "code", "Wake-\nSleep"])
        left.set(title="two binary causes, x = 1", ylabel="covariance of the causes given x")
        left.axhline(0, color="k", linewidth=0.6)
        x = SEEN[:, 0]
        right.plot(x, wanted, "k-", label="exact")
        right.errorbar(x, [s.mean for s in at], [[max(s.mean - s.low, 0) for s in at],
                       [max(s.high - s.mean, 0) for s in at]], fmt="o", color="#D55E00",
                       capsize=2, label="code, mean and 95 % interval over seeds")  # fmt: skip
        right.axhline(0, color="#0072B2", label="factorised")
        right.set(xlabel="x (rate)", title="two Laplacian causes")
        right.legend()
        save(drawn, path)


if __name__ == "__main__":
    main()
