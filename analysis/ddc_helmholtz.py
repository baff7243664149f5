"""The code of a DDC Helmholtz machine against exact posteriors.

    python analysis/ddc_helmholtz.py --part gaussian          [--seeds 5] [--samples 250000] [--out ...]
    python analysis/ddc_helmholtz.py --part explaining_away   [--seeds 5] [--samples 100000] [--out ...]

The generative model stays as it is; sleep alone learns, by the theory's own REM steps.

gaussian: z_2 ~ N(0, I), z_1 | z_2 and x | z_1 linear-Gaussian (5-3-2), stimuli from another such
model. Printed for several numbers of code functions (as many of the stimulus as of each layer), as
dreams accumulate: relative error of posterior expectations (root mean square over stimuli, over the
exact ones' spread) and of the gradients of Eq. 23 (over the exact ones' length), exact ones by
conditioning the joint Gaussian.

explaining_away: two binary causes of a binary x, and two Laplacian causes of a Gaussian x. Printed:
covariance of the causes given x, as the code has it, over the exact one (enumeration, a sum over
the plane), and that of classic Wake-Sleep's recognition, whose causes are independent given x.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuro_aws.algorithms.ddc_helmholtz import DdcHelmholtz, Expected
from neuro_aws.algorithms.wake_sleep import WakeSleep
from neuro_aws.backends.rate.build import build_network
from neuro_aws.functional import ddc
from neuro_aws.functional.noise import Draws
from neuro_aws.metrics.statistics import Estimate, estimate
from neuro_aws.model.network import Network
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, READOUT, REM, WAKE
from neuro_aws.plots.style import figure, save, styled
from neuro_aws.protocol import theories_of_expectations as sections
from neuro_aws.protocol.model import Homeostasis, NetworkSection, Noise
from neuro_aws.protocol.theories_of_cortex import WakeSleep as WakeSleepSection

SIGMA, BATCH, STIMULI = 0.5, 250, 1000
COUNTS = (16, 64, 256)
EXPECTATIONS = ("E z_1", "E z_1 z_1'", "E z_1 z_2'", "E z_2", "E z_2 z_2'")
GRADIENTS = ("G_0", "c_0", "G_1", "c_1", "theta")


def section(layers: tuple[int, ...], binary: bool = False) -> NetworkSection:
    """Return layers of linear units with Gaussian noise, or of units that fire 0 or 1."""
    kind: dict[str, Any] = {"units": "binary", "noise": Noise(scale=0)}
    kind |= dict.fromkeys(("transfer", "bottom", "top"), "sigmoid")
    rates = {"noise": Noise(scale=SIGMA), "transfer": "linear", "bottom": "linear"}
    return NetworkSection(
        layers=layers,
        normalisation="none",
        prior="standard",
        homeostasis=Homeostasis(over="none"),
        precision="float64",
        **(kind if binary else rates),
    )


def machine(network: NetworkSection, seed: int, **settings: Any) -> tuple[Network, DdcHelmholtz]:
    """Return a machine that has not slept yet, its moments those of all dreams."""
    given = sections.DdcHelmholtz(name="ddc_helmholtz", forgetting=0, **settings)
    built = build_network(network, given, seed, torch.device("cpu"))
    algorithm = DdcHelmholtz(given, network)
    algorithm.initialise(built)
    return built, algorithm


def draws(seed: int) -> Draws:
    """Return random numbers."""
    return Draws(torch.Generator().manual_seed(seed), torch.float64)


def sleep(network: Network, algorithm: DdcHelmholtz, noise: Draws) -> None:
    """Take one REM step, at the rate at which second moments follow: recursive least squares."""
    rate, top = algorithm.weight(), network.prior(BATCH, noise)
    state = algorithm.propagate(network, top, REM, noise, {})
    deltas = algorithm.deltas(network, state, network.acetylcholine(state), REM)
    for kind in (FEEDFORWARD, READOUT):
        for name, tensor in network.parameters(kind).items():
            tensor.add_(deltas[kind].tensors[name], alpha=rate)
    algorithm.track(network, state)


def generative(network: Network, seed: int) -> None:
    """Draw G and its biases, those of a model whose causes all matter."""
    noise = draws(seed)
    for name, tensor in network.parameters(FEEDBACK).items():
        if name != sections.PRIOR:
            tensor.copy_(noise.normal(tensor.shape) * (0.3 if tensor.dim() == 1 else 0.7))


def stimuli(network: Network, seed: int) -> Tensor:
    """Return stimuli from another model of the same shape."""
    kept = {name: t.clone() for name, t in network.parameters(FEEDBACK).items()}
    noise = draws(seed)
    for name, tensor in network.parameters(FEEDBACK).items():
        if name != sections.PRIOR:
            tensor.add_(0.3 * noise.normal(tensor.shape))
    x = network.dream(network.prior(STIMULI, noise), noise).somas[0]
    for name, tensor in network.parameters(FEEDBACK).items():
        tensor.copy_(kept[name])
    return x


def posterior(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return E[z | x] of each stimulus, z = (z_1, z_2), and their covariance, exact."""
    (g, c), (h, d) = network.layers[0].feedback, network.layers[1].feedback
    n, m = h.shape
    prior = torch.eye(m).double()
    lower = SIGMA**2 * torch.eye(n).double()
    joint = torch.cat([torch.cat([h @ h.mT + lower, h], 1), torch.cat([h.mT, prior], 1)])
    seen = torch.cat([g, g.new_zeros(len(g), m)], 1)
    spread = seen @ joint @ seen.mT + SIGMA**2 * torch.eye(len(g)).double()
    gain = torch.linalg.solve(spread, seen @ joint).mT
    centre = torch.cat([d, d.new_zeros(m)])
    mean = centre + (x - centre @ seen.mT - c) @ gain.mT
    return mean, joint - gain @ seen @ joint


def exact(network: Network, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return exact expectations of each stimulus, and the gradients of Eq. 23, times sigma^2."""
    (g, c), (h, d) = network.layers[0].feedback, network.layers[1].feedback
    n = len(h)
    mean, covariance = posterior(network, x)
    second = covariance + mean[:, :, None] * mean[:, None, :]
    one, two = mean[:, :n], mean[:, n:]
    expected = [one, second[:, :n, :n], second[:, :n, n:], two, second[:, n:, n:]]
    a, b, c2, e, f = (part.mean(0) for part in expected)
    gradients = [
        x.mT @ one / len(x) - g @ b - c[:, None] * a,
        (x.mean(0) - g @ a - c),
        c2 - h @ f - d[:, None] * e,
        a - h @ e - d,
        e,
    ]
    return expected, gradients


def coded(
    network: Network, algorithm: DdcHelmholtz, x: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the same as the code has it."""
    state = algorithm.propagate(network, x, WAKE, draws(0), {})
    assert isinstance(state.graph, Expected)
    codes, weights = state.graph.codes, network.parameters(READOUT)
    one, two = state.somas[1:]
    joint = (codes[1] @ weights[sections.alpha(1)].mT).view(len(x), one.shape[1], -1)
    squares = [
        ddc.square(codes[i] @ weights[sections.beta(i)].mT, h) for i, h in ((1, one), (2, two))
    ]
    deltas = algorithm.deltas(network, state, network.acetylcholine(state), WAKE)
    found = list(deltas[FEEDBACK].tensors.values())
    return [one, squares[0], joint[:, :, :-1], two, squares[1]], found


def errors(network: Network, algorithm: DdcHelmholtz, x: Tensor) -> list[float]:
    """Return the relative errors of all expectations, and of all gradients."""
    expected, gradients = exact(network, x)
    mine, climbed = coded(network, algorithm, x)
    each = [
        float((a - b).square().mean().sqrt() / (b - b.mean(0)).square().mean().sqrt())
        for a, b in zip(mine, expected, strict=True)
    ]
    whole = [float((a - b).norm() / b.norm()) for a, b in zip(climbed, gradients, strict=True)]
    return each + whole


def asleep(seed: int, count: int, samples: int) -> dict[int, list[float]]:
    """Return the errors by the number of dreams so far."""
    network, algorithm = machine(section((5, 3, 2)), seed, functions=count, expansion=count)
    generative(network, 100 + seed)
    x, noise, found = stimuli(network, 200 + seed), draws(300 + seed), {}
    marks = [samples // 4**k for k in range(5)]
    for step in range(1, samples // BATCH + 1):
        sleep(network, algorithm, noise)
        if any(step == max(1, mark // BATCH) for mark in marks):
            found[step * BATCH] = errors(network, algorithm, x)
    return found


def gaussian(options: argparse.Namespace) -> None:
    """Print the errors by functions and dreams, and draw them."""
    names = (*EXPECTATIONS, *GRADIENTS)
    table: dict[int, dict[int, list[Estimate]]] = {}
    for count in COUNTS:
        runs = [asleep(seed, count, options.samples) for seed in range(options.seeds)]
        table[count] = {
            dreams: [estimate([run[dreams][k] for run in runs]) for k in range(len(names))]
            for dreams in runs[0]
        }
        print(f"{count} functions a layer, {options.seeds} seeds: relative errors by dreams")
        print("  dreams    " + "".join(f"{name:<24}" for name in names))
        for dreams, row in table[count].items():
            print(f"  {dreams:<10}" + "".join(f"{found!s:<24}" for found in row))
    with styled():
        drawn = figure(7.2, 2.6)
        panels = drawn.subplots(1, 2, sharey=True)
        for axes, k in zip(panels, (1, len(EXPECTATIONS)), strict=True):
            for count, rows in table.items():
                dreams, shown = list(rows), [row[k] for row in rows.values()]
                low = [max(s.mean - s.low, 0) for s in shown]
                high = [max(s.high - s.mean, 0) for s in shown]
                axes.errorbar(dreams, [s.mean for s in shown], [low, high], marker="o",
                              capsize=2, label=f"{count} functions a layer")  # fmt: skip
            start = table[COUNTS[-1]][dreams[1]][k].mean
            fall = [start * (dreams[1] / d) ** 0.5 for d in dreams]
            axes.plot(dreams, fall, "k:", label="1 / sqrt(dreams)")
            axes.set(xscale="log", yscale="log", xlabel="dreams", title=names[k])
        panels[1].set_title("gradient of G_0")
        panels[0].set_ylabel("relative error, mean and 95 %\ninterval over seeds")
        panels[0].legend()
        save(drawn, options.out)


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


def explaining_away(options: argparse.Namespace) -> None:
    """Print covariances of causes given what they cause, and draw them."""
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
        save(drawn, options.out)


PARTS = {"gaussian": (gaussian, 250_000), "explaining_away": (explaining_away, 100_000)}


def main() -> None:
    """Print one part and draw its figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", choices=list(PARTS), required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    part, samples = PARTS[options.part]
    options.samples = options.samples or samples
    options.out = options.out or Path(f"ddc_{options.part}.png")
    with torch.inference_mode():
        part(options)
    print(options.out)


if __name__ == "__main__":
    main()
