"""The code of a DDC Helmholtz machine against the exact posterior of a linear-Gaussian model.

    python analysis/ddc_gaussian.py [--seeds 5] [--samples 32000] [--out ddc_gaussian.png]

z_2 ~ N(0, I), z_1 | z_2 and x | z_1 linear-Gaussian (5-3-2), stimuli from another such model. The
generative model stays as it is; sleep alone learns, by the theory's own REM steps, their rate that
of recursive least squares. Printed for several numbers of code functions (as many of the stimulus
as of each layer), as dreams accumulate: relative error of posterior expectations (root mean square
over stimuli, over the exact ones' spread) and of the gradients of Eq. 23 (over the exact ones'
length), exact ones by conditioning the joint Gaussian.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuro_aws.algorithms.ddc_helmholtz import DdcHelmholtz, Expected
from neuro_aws.backends.rate.build import build_network
from neuro_aws.functional import ddc
from neuro_aws.functional.noise import Draws
from neuro_aws.metrics.statistics import Estimate, estimate
from neuro_aws.model.network import Network
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, READOUT, REM, WAKE
from neuro_aws.plots.style import figure, save, styled
from neuro_aws.protocol import theories_of_expectations as sections
from neuro_aws.protocol.model import Homeostasis, NetworkSection, Noise

SIGMA, BATCH, STIMULI, GAIN = 0.5, 250, 1000, 1.0
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
    rate = float(algorithm.weight(network.flat(FEEDBACK)))
    top = network.prior(BATCH, noise)
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
    network, algorithm = machine(
        section((5, 3, 2)), seed, functions=count, expansion=count, gain=GAIN
    )
    generative(network, 100 + seed)
    x, noise, found = stimuli(network, 200 + seed), draws(300 + seed), {}
    marks = [samples // 4**k for k in range(5)]
    for step in range(1, samples // BATCH + 1):
        sleep(network, algorithm, noise)
        if any(step == max(1, mark // BATCH) for mark in marks):
            found[step * BATCH] = errors(network, algorithm, x)
    return found


def main() -> None:
    """Print the errors by functions and dreams, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=32_000, help="dreams")
    parser.add_argument("--out", type=Path, default=Path("ddc_gaussian.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        table = found_by(options.seeds, options.samples)
    draw(table, options.out)
    print(options.out)


def found_by(seeds: int, samples: int) -> dict[int, dict[int, list[Estimate]]]:
    """Return the errors over seeds by functions and dreams; prints them as they come."""
    names = (*EXPECTATIONS, *GRADIENTS)
    table: dict[int, dict[int, list[Estimate]]] = {}
    for count in COUNTS:
        runs = [asleep(seed, count, samples) for seed in range(seeds)]
        table[count] = {
            dreams: [estimate([run[dreams][k] for run in runs]) for k in range(len(names))]
            for dreams in runs[0]
        }
        print(f"{count} functions a layer, {seeds} seeds: relative errors by dreams")
        print("  dreams    " + "".join(f"{name:<24}" for name in names))
        for dreams, row in table[count].items():
            print(f"  {dreams:<10}" + "".join(f"{found!s:<24}" for found in row))
    return table


def draw(table: dict[int, dict[int, list[Estimate]]], path: Path) -> None:
    """Draw the errors of E z_1 z_1' and of the gradient of G_0."""
    names = (*EXPECTATIONS, *GRADIENTS)
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
        save(drawn, path)


if __name__ == "__main__":
    main()
