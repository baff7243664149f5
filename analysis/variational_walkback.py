"""Variational walkback: chains that stay, modes that are found, bounds that grow with steps.

    python analysis/variational_walkback.py --part toys                   # 3 seeds, some minutes
    python analysis/variational_walkback.py --part digits
    python analysis/variational_walkback.py --part toys --steps 20 --seeds 1

toys    A Swiss roll, a circle and eight Gaussians. 500 chains of 5,000 steps at T = 1 start from
        held-out points: the distance of where they end to the curve (or the nearest centre), over
        that of held-out points; a kernel two-sample test of the two (maximum mean discrepancy,
        Gaussian kernel as wide as the median distance, 500 permutations); the irreversibility
            1/K sum_t log p(s_{t+1} | s_t) - log p(s_t | s_{t+1})
        of the last 1,000 steps, nats, beside the forward entropy. 1,000 dreams, cooled from p*: how
        far they lie, and how many Gaussians have at least a quarter of their share within four
        deviations. Spurious modes: the share of points, cooled from anywhere in a square, that
        end further off than six deviations; and that of a denoising autoencoder of the same
        network, that corrupts and reconstructs as often, by the noise of the operator at T = 1.
        Walks of 5, 10 and 15 steps on the circle: bound, importance sampling, dreams.
digits  Walks of 5, 10 and 15 steps over the same temperatures: the bound on log p of held-out
        digits, the estimate by importance sampling, dreams, the lower halves of digits given the
        upper ones, and the irreversibility of chains at T = 1.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import script
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel
from torch import Tensor

from neuro_aws.algorithms.reconstruct import with_way_down
from neuro_aws.algorithms.variational_walkback import VariationalWalkback
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.functional.corruption import corrupted
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.functional.transitions import GaussianTransition
from neuro_aws.metrics.distances import sliced
from neuro_aws.metrics.statistics import estimate
from neuro_aws.model.network import Network
from neuro_aws.plots.style import Figure, figure, save, styled
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.stimuli_built_in import Toy
from neuro_aws.recording.writer import Discard
from neuro_aws.stimuli.toy import skeleton

PROTOCOL = Path(__file__).parents[1] / "protocols" / "variational_walkback.yaml"

KINDS = ("swiss_roll", "circle", "mixture")
CHAINS, LENGTH, LOOKED_AT = 500, 5000, 1000
"""Chains at T = 1, how long they are, and the last steps that irreversibility is taken from."""

DREAMS, PERMUTATIONS, HEATINGS, LIKELY = 1000, 500, 50, 200
"""How many there are of each; bounds are of so many held-out digits."""

FAR, NEAR = 6.0, 4.0
"""In deviations of the toy's noise: what is spurious, and what belongs to a Gaussian."""

ARENA = 1.2
"""Half the side of the square that walks for spurious modes start from."""

RATES = "{rate: 2.0e-3, decay: {factor: 0.5, every: 300, least: 0.0625}}"
TAUGHT = tuple(f"algorithm.{kind}={RATES}" for kind in ("feedforward", "feedback", "readout"))
DIGITS = (
    "stimulus={source: digits}",
    "network.layers=[64, 128, 32]",
    "network.bottom=tanh",
    "network.normalisation=rms",
    "algorithm.least_spread=0.1",
    "algorithm.extra_steps=1",
)
COOLED_FROM = 20.0
"""T_max where walks differ in their number of steps."""

LENGTHS = (5, 10, 15)
"""Steps of a walk."""

Array = NDArray[Any]


def simulator(animal: int, steps: int, *overrides: str) -> RateSimulator:
    """Return a simulator that has not begun; REM, which teaches the layers nothing, is left out."""
    schedule = f"schedule=[{{name: training, cycles: {steps}, phases: [{{wake: 1}}]}}]"
    alone = ("arms={walkback: {}}", "measure=[]", "expect=[]")
    protocol = Protocol.load(PROTOCOL, (schedule, *alone, *overrides))
    return RateSimulator(protocol, "walkback", animal)


def trained(animal: int, steps: int, *overrides: str) -> RateSimulator:
    """Return one that has learnt for so many wake steps."""
    made = simulator(animal, steps, *overrides)
    with torch.enable_grad():
        made.advance(0, steps, Discard(), lambda: False)
    return made


def parts(made: RateSimulator) -> tuple[Network, VariationalWalkback, KeyedNoise]:
    """Return network, theory and random numbers for looking at them."""
    network, algorithm = made.animal.network, made.animal.algorithm
    assert isinstance(algorithm, VariationalWalkback)
    dtype = made.animal.dataset.train.dtype
    return network, algorithm, KeyedNoise(made.number, "analysis/variational_walkback", dtype)


def chained(made: RateSimulator, start: Tensor, length: int, look: int) -> tuple[Tensor, Array]:
    """Return where chains at T = 1 end; irreversibility and forward entropy, nats a step."""
    network, algorithm, noise = parts(made)
    state = algorithm.cool(network, start, (0,) * (length - look), noise.at(1))
    draws, found = noise.at(2), []
    _, step = algorithm.apply(network, state, 0)
    for _ in range(look):
        after = step.drawn(draws)
        _, following = algorithm.apply(network, after, 0)
        forward, back = step.log_density(after), following.log_density(state)
        found.append([float((forward - back).mean()), float(step.entropy().mean())])
        state, step = after, following
    return state, np.mean(found, 0)


def two_samples(a: Tensor, b: Tensor, seed: int) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy and its p by permutation of the samples."""
    both = torch.cat([a, b]).double().numpy()
    kernel = rbf_kernel(both, gamma=1 / (2 * float(np.median(pdist(both))) ** 2))
    np.fill_diagonal(kernel, 0)
    rng, n, m = np.random.default_rng(seed), len(a), len(b)
    weights = np.r_[np.full(n, 1 / n), np.full(m, -1 / m)]
    orders = np.stack([weights, *(rng.permutation(weights) for _ in range(PERMUTATIONS))])
    found = np.einsum("ij,jk,ik->i", orders, kernel, orders, optimize=True)
    return float(found[0]), float((1 + (found[1:] >= found[0]).sum()) / (1 + PERMUTATIONS))


def walking(count: int) -> tuple[str, ...]:
    """Return settings of walks of so many steps over the same temperatures, the last at T = 1."""
    factor = COOLED_FROM ** (1 / (count - 1)) * (1 + 1e-9)
    return (f"algorithm.factor={factor}", f"algorithm.hottest={COOLED_FROM}")


@dataclass
class Toyed:
    """What one animal gives on one toy: numbers by name, and points to be drawn."""

    numbers: dict[str, float]
    points: dict[str, Array]


def toyed(kind: str, animal: int, steps: int, length: int) -> Toyed:
    """Train on one toy, and look at chains, dreams and where walks from anywhere end."""
    stimulus = f"stimulus={{source: toy, kind: {kind}, batch: 128}}"
    made = trained(animal, steps, stimulus, *TAUGHT)
    network, algorithm, noise = parts(made)
    section = made.spec.stimulus
    assert isinstance(section, Toy)
    away = distance(section)
    data = made.animal.dataset.held_out
    off = away(data).mean()
    ended, (irreversible, entropy) = chained(
        made, data[:CHAINS], length, min(LOOKED_AT, length // 2)
    )
    discrepancy, p = two_samples(ended, data[-CHAINS:], animal)
    dreams = algorithm.dream(network, DREAMS, noise.at(3)).somas[0]
    anywhere = ARENA * (2 * noise.at(4).uniform(torch.Size((DREAMS, 2))) - 1)
    cooled = algorithm.cool(network, anywhere, algorithm.levels(), noise.at(5))
    step = algorithm.apply(network, data, 0)[1]
    assert isinstance(step, GaussianTransition)
    corruption = float(step.deviation.mean())
    other = denoised(stimulus, animal, steps, corruption, anywhere, len(algorithm.levels()))
    far = FAR * section.noise
    numbers = {
        "bound (nats)": -float(algorithm.objective(network, data, noise.at(6))),
        "noise at T = 1": corruption,
        "chains, distance over data's": away(ended).mean() / off,
        "MMD^2": discrepancy,
        "MMD p": p,
        "dreams, distance over data's": away(dreams).mean() / off,
        "irreversibility (nats)": irreversible,
        "forward entropy (nats)": entropy,
        "spurious, walkback": float((away(cooled) > far).mean()),
        "spurious, denoising": float((away(other) > far).mean()),
    }
    if kind == "mixture":
        numbers |= {
            "modes of 8, dreams": modes(dreams, section),
            "modes of 8, chains": modes(ended, section),
        }
    shown = {"data": data[:CHAINS], "chains": ended, "dreams": dreams[:CHAINS]}
    shown |= {"walkback from anywhere": cooled[:CHAINS], "denoising from anywhere": other[:CHAINS]}
    return Toyed(numbers, {name: x.numpy() for name, x in shown.items()})


def circled(count: int, animal: int, steps: int) -> dict[str, float]:
    """Train walks of so many steps on the circle, and return what the bound and dreams are."""
    circle = "stimulus={source: toy, kind: circle}"
    made = trained(animal, steps, circle, *TAUGHT, *walking(count), "algorithm.extra_steps=1")
    network, algorithm, noise = parts(made)
    data = made.animal.dataset.held_out
    bounds = torch.stack([algorithm.bound(network, data, noise.at(k)) for k in range(HEATINGS)])
    dreams = algorithm.dream(network, len(data), noise.at(HEATINGS)).somas[0]
    return {
        "bound (nats)": float(bounds.mean()),
        "importance sampling (nats)": float((bounds.logsumexp(0) - math.log(HEATINGS)).mean()),
        "sliced distance of dreams": sliced(dreams, data),
    }


def distance(section: Toy) -> Callable[[Tensor], Array]:
    """Return the distance of points to the toy's curve, or to the nearest centre."""
    tree = cKDTree(skeleton(section))
    return lambda points: np.asarray(tree.query(points.numpy())[0])


def modes(points: Tensor, section: Toy) -> float:
    """Return how many Gaussians have a quarter of their share of points, at least."""
    off, nearest = cKDTree(skeleton(section)).query(points.numpy())
    counts = np.bincount(nearest[off < NEAR * section.noise], minlength=section.modes)
    return float((counts >= len(points) / section.modes / 4).sum())


def denoised(
    stimulus: str,
    animal: int,
    steps: int,
    corruption: float,
    start: Tensor,
    count: int,
) -> Tensor:
    """Return where a denoising autoencoder takes points that it corrupts and reconstructs."""
    rates = ", ".join(f"{kind}: {RATES}" for kind in ("feedforward", "feedback"))
    theory = f"{{name: denoising_autoencoder, corruption: {corruption}, {rates}}}"
    made = trained(animal, steps, stimulus, f"algorithm={theory}")
    network = made.animal.network
    draws = KeyedNoise(animal, "analysis/denoised", start.dtype).at(0)
    x = start
    for _ in range(count):
        shown = corrupted(x, draws, corruption, 0.0)
        found = with_way_down(network, network.recognise(shown, None), {}).layers[0].dendrite
        assert found is not None
        x = found.rate
    return x


@dataclass
class Written:
    """What one animal gives on digits: numbers by name, and pictures to be drawn."""

    numbers: dict[str, float]
    dreams: Array
    filled: Array


def written(count: int, animal: int, steps: int) -> Written:
    """Train walks of so many steps on digits; look at the bound, dreams and halves filled in."""
    made = trained(animal, steps, *DIGITS, *TAUGHT, *walking(count))
    network, algorithm, noise = parts(made)
    assert len(algorithm.levels()) == count
    data = made.animal.dataset.held_out
    few = data[:LIKELY]
    bounds = torch.stack([algorithm.bound(network, few, noise.at(k)) for k in range(HEATINGS)])
    dreams = algorithm.dream(network, len(data), noise.at(HEATINGS)).somas[0]
    lower = torch.arange(64) >= 32
    start = algorithm.start(network, len(data)).drawn(noise.at(HEATINGS + 1))
    filled = algorithm.cool(
        network, start, algorithm.levels(), noise.at(HEATINGS + 2), known=(~lower, data)
    )
    mean = made.animal.dataset.train.mean(0)
    irreversible, entropy = chained(made, data[:100], 400, 200)[1]

    def wrong(x: Tensor) -> float:
        return float((x - data)[:, lower].square().mean())

    numbers = {
        "bound (nats)": float(bounds.mean()),
        "importance sampling (nats)": float((bounds.logsumexp(0) - math.log(HEATINGS)).mean()),
        "sliced distance of dreams": sliced(dreams, data),
        "lower half, squared error": wrong(filled),
        "the same, of the mean digit": wrong(mean.expand_as(data)),
        "the same, of another digit": wrong(data.roll(1, 0)),
        "irreversibility (nats)": irreversible,
        "forward entropy (nats)": entropy,
    }
    halves = torch.where(lower, -1.0, data)
    sheet = torch.stack([data[:10], halves[:10], filled[:10]])
    return Written(numbers, dreams[:40].numpy(), sheet.numpy())


def table(found: list[dict[str, float]]) -> None:
    """Print the mean and interval of every number."""
    for name in found[0]:
        print(f"  {name:<32}{estimate([numbers[name] for numbers in found])}")


def toys(options: argparse.Namespace) -> Figure:
    """Print what toys give and draw the first animal's points."""
    drawn = figure(7.2, 4.7)
    grid = drawn.subplots(len(KINDS), 5, sharex=True, sharey=True, squeeze=False)
    for row, kind in zip(grid, KINDS, strict=True):
        found = [toyed(kind, a, options.steps, options.chain) for a in range(options.seeds)]
        print(f"{kind.replace('_', ' ')}, {options.seeds} seeds: mean [95 % interval]")
        table([one.numbers for one in found])
        for axes, (name, points) in zip(row, found[0].points.items(), strict=True):
            axes.plot(*points.T, ".", markersize=1, color="#0072B2")
            axes.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
            if kind == KINDS[0]:
                axes.set_title(name)
        row[0].set_ylabel(f"{kind.replace('_', ' ')}\nstimulus unit 1")
    for axes in grid[-1]:
        axes.set_xlabel("stimulus unit 0")
    for n in LENGTHS:
        print(f"circle, walks of {n} steps, {options.seeds} seeds")
        table([circled(n, a, options.steps // 2) for a in range(options.seeds)])
    return drawn


def digits(options: argparse.Namespace) -> Figure:
    """Print what digits give by the length of a walk, and draw the longest one's pictures."""
    found = {n: [written(n, a, options.steps) for a in range(options.seeds)] for n in LENGTHS}
    for n, animals in found.items():
        print(f"walks of {n} steps, {options.seeds} seeds: mean [95 % interval]")
        table([one.numbers for one in animals])
    drawn = figure(7.2, 2.4)
    bounds, dreams, halves = drawn.subplots(1, 3, width_ratios=[1, 1.2, 1.5])
    names = {"bound (nats)": "bound", "importance sampling (nats)": "importance sampling"}
    for (name, label), colour in zip(names.items(), ("#0072B2", "#D55E00"), strict=True):
        points = np.array([[one.numbers[name] for one in found[n]] for n in LENGTHS])
        bounds.plot(LENGTHS, points, ".", color=colour)
        bounds.plot(LENGTHS, points.mean(1), color=colour, label=label)
    bounds.set(xlabel="steps of a walk", ylabel="log p of held-out digits (nats)")
    bounds.set_xticks(LENGTHS)
    bounds.set_title("dots: seeds; lines: means", loc="left")
    bounds.legend()
    last = found[LENGTHS[-1]][0]
    show(dreams, tiles(last.dreams.reshape(5, 8, 64)), "dreams")
    show(halves, tiles(last.filled), "held out, upper half shown, filled in")
    return drawn


def tiles(pictures: Array) -> Array:
    """Return rows of digits (rows, columns, 64) as one picture, a pixel of grey between them."""
    rows, columns, _ = pictures.shape
    framed = np.pad(
        pictures.reshape(rows, columns, 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=0.0
    )
    return framed.transpose(0, 2, 1, 3).reshape(rows * 9, columns * 9)


def show(axes: Any, picture: Array, title: str) -> None:
    """Draw one picture in grey."""
    axes.imshow(picture, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    axes.set_title(title, loc="left")
    axes.set_axis_off()


def main() -> None:
    """Print the table of a part and draw its figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", choices=("toys", "digits"), default="toys")
    parser.add_argument("--steps", type=int, default=1200, help="wake steps of learning")
    parser.add_argument("--chain", type=int, default=LENGTH, help="steps of a chain at T = 1")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="default: variational_walkback_PART.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad(), styled():
        drawn = (toys if options.part == "toys" else digits)(options)
        path = options.out or Path(f"variational_walkback_{options.part}.png")
        print("figure", save(drawn, path))


if __name__ == "__main__":
    script(main)
