"""How much a Hopfield network stores, and how well it recalls: three nets against their formulas.

    python analysis/hopfield_memory.py                      # about three minutes; draws a figure
    python analysis/hopfield_memory.py --seeds 1 --units 60 120 --dense 8 12

Random patterns. Loads are patterns over units (n).

binary      from each pattern itself the net settles, unit by unit. Found: the number at which half
            of the patterns keep 95 % of their units (0.138 n for large n), at which half of them
            are recalled exactly (n / 2 ln n if most are to be), and at which all are in half of the
            nets (n / 4 ln n). Beside them what is recalled at the formulas.
dense       the number of patterns at which 0.5 % of the units of a stored pattern would turn over,
            for orders k = 2, 3, 4, and the exponent of its growth with n: k - 1.
continuous  error of one update from near a pattern (on a sphere of radius sqrt(n)) against its
            bound; and the update against torch's attention.

All in float64. Energies of nets far above capacity: the largest rise of E in a sweep, unit by unit;
and how many of the same states end in a cycle of two when all units change at once.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize, scaled_dot_product_attention

from neuro_aws.functional import hopfield as net
from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import ARM_COLOURS, WIDTH, Axes, figure, save, styled

ORDERS = {2: 8, 3: 1, 4: 1}
"""Orders, and how many times as large nets are: few patterns would be none at order 2."""

BETAS = (0.25, 0.5, 1.0)
TURNED = 0.005
"""Share of units that turn over at the capacity of a dense net."""
BITS = 10_000
"""Units that this share is taken of, at least."""
KEPT = 0.95
SWEEPS = 30

Array = NDArray[np.float64]
Update = Callable[[Tensor], Tensor]


def signs(rows: int, units: int, random: torch.Generator) -> Tensor:
    """Return random patterns of -1 and 1."""
    return torch.randint(2, (rows, units), generator=random).double() * 2 - 1


def settled(w: Tensor, s: Tensor) -> Tensor:
    """Return where states end, unit by unit."""
    for _ in range(SWEEPS):
        after = net.binary_sweep(w, s)
        if torch.equal(after, s):
            break
        s = after
    return s


def held(units: int, count: int, random: torch.Generator) -> Tensor:
    """Return the share of its units that each pattern keeps while the net settles."""
    x = signs(count, units, random)
    return (settled(net.weights(x), x) == x).double().mean(1)


def exact(units: int, count: int, random: torch.Generator) -> Tensor:
    """Return which patterns stay as they are: E falls, so one that changes never comes back."""
    x = signs(count, units, random)
    return (net.binary_update(net.weights(x), x) == x).all(1)


FORMULAS: dict[str, Callable[[int], float]] = {
    "0.138 n": lambda n: 0.138 * n,
    "n / 2 ln n": lambda n: n / (2 * np.log(n)),
    "n / 4 ln n": lambda n: n / (4 * np.log(n)),
}
"""What is asked of a net of n units: that patterns keep 95 %, are exact, or are so all of them."""

GRID = np.array([0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.7, 2.0, 2.5])
"""Loads that are tried, over the formula's."""


def crossing(x: Array, y: Array, level: float = 0.5) -> float:
    """Return where a falling curve passes a level, between the points; nan where it does not."""
    for i in range(len(x) - 1):
        if y[i] >= level > y[i + 1]:
            return float(x[i] + (x[i + 1] - x[i]) * (y[i] - level) / (y[i] - y[i + 1]))
    return float("nan")


def recalled(units: int, count: int, which: int, random: torch.Generator) -> float:
    """Return the share of patterns, or of nets, of which a claim is true."""
    if which == 0:
        nets = range(max(1, 40 // count))
        kept = torch.cat([held(units, count, random) for _ in nets])
        return float((kept >= KEPT).double().mean())
    found = [exact(units, count, random) for _ in range(max(50, 400 // count))]
    if which == 1:
        return float(torch.cat(found).double().mean())
    return float(torch.stack([each.all() for each in found]).double().mean())


def binary(units: int, which: int, seed: int) -> tuple[Array, float, float]:
    """Return what is recalled at each load, the load of one half, and what is at the formula."""
    random = torch.Generator().manual_seed(1000 * seed + which)
    loads = GRID * list(FORMULAS.values())[which](units)
    y = np.array([recalled(units, max(round(load), 1), which, random) for load in loads])
    return y, crossing(GRID, y), float(y[GRID == 1.0][0])


def wrong(units: int, seed: int) -> float:
    """Return the share of wrong units at 0.138 n, in the patterns that keep 95 %."""
    kept = held(units, max(round(0.138 * units), 1), torch.Generator().manual_seed(seed))
    return float(1 - kept[kept >= KEPT].mean())


def turned(units: int, count: int, order: int, random: torch.Generator) -> float:
    """Return the share of units of stored patterns that turn over in one update."""
    shown = min(count, 100)
    wrong = []
    for _ in range(max(1, BITS // (shown * units))):
        x = signs(count, units, random)
        wrong.append(float((net.dense_update(x, x[:shown], order) != x[:shown]).double().mean()))
    return float(np.mean(wrong))


def capacity(units: int, order: int, seed: int) -> float:
    """Return how many patterns a dense net holds, between the two numbers that enclose it."""
    low, high = 1, 2
    random = torch.Generator().manual_seed(seed)
    rate = {1: 0.0, 2: turned(units, 2, order, random)}
    while rate[high] < TURNED:
        low, high = high, 2 * high
        rate[high] = turned(units, high, order, random)
    while high - low > max(1, 0.03 * low):
        middle = (low + high) // 2
        rate[middle] = turned(units, middle, order, random)
        low, high = (middle, high) if rate[middle] < TURNED else (low, middle)
    between = (TURNED - rate[low]) / max(rate[high] - rate[low], 1e-12)
    return low + between * (high - low)


def exponent(sizes: Sequence[int], found: Sequence[float]) -> float:
    """Return the slope of log patterns over log units."""
    return float(np.polyfit(np.log(sizes), np.log(found), 1)[0])


def retrieval(seed: int, units: int = 64, count: int = 50) -> dict[float, tuple[Array, Array]]:
    """Return errors of one update and their bounds, by beta, from nearer and farther states."""
    random = torch.Generator().manual_seed(seed)
    x = units**0.5 * normalize(torch.randn(count, units, generator=random, dtype=torch.float64))
    found = {}
    for beta in BETAS:
        fixed = x
        for _ in range(100):
            fixed = net.continuous_update(x, fixed, beta)
        errors, bounds = [], []
        for away in (0.0, 0.25, 0.5, 1.0):
            noise = torch.randn(count, units, generator=random, dtype=torch.float64)
            s = x + away * normalize(noise)
            errors.append((net.continuous_update(x, s, beta) - x).norm(dim=1))
            bounds.append(net.retrieval_bound(x, s, torch.arange(count), fixed, beta))
        found[beta] = torch.cat(errors).numpy(), torch.cat(bounds).numpy()
    return found


def attention(seed: int) -> float:
    """Return the largest difference of one update from torch's attention."""
    random = torch.Generator().manual_seed(seed)
    x, s = (torch.randn(n, 32, generator=random, dtype=torch.float64) for n in (1024, 64))
    apart = 0.0
    for beta in (0.05, 0.2, 2.0, *BETAS):
        wanted = scaled_dot_product_attention(s, x, x, scale=beta)
        apart = max(apart, float((net.continuous_update(x, s, beta) - wanted).abs().max()))
    return apart


def energies(seed: int, units: int = 100, count: int = 50) -> tuple[float, float, float]:
    """Return the largest rise of E of both sign nets, and the share that ends in a cycle of two."""
    random = torch.Generator().manual_seed(seed)
    x, s = signs(count, units, random), signs(100, units, random)
    w, rises = net.weights(x), []
    nets: tuple[tuple[Update, Update], ...] = (
        (partial(net.binary_sweep, w), partial(net.binary_energy, w)),
        (partial(net.dense_sweep, x, order=3), partial(net.dense_energy, x, order=3)),
    )
    for sweep, energy in nets:
        states = [s]
        for _ in range(SWEEPS):
            states.append(sweep(states[-1]))
        along = torch.stack([energy(state) for state in states])
        rises.append(float(along.diff(dim=0).max()))
    for _ in range(200):
        s = net.binary_update(w, s)
    once = net.binary_update(w, s)
    cycling = (once != s).any(1) & (net.binary_update(w, once) == s).all(1)
    return rises[0], rises[1], float(cycling.double().mean())


def draw_binary(axes: Axes, curves: dict[int, Array], units: int) -> None:
    """Draw what is recalled over the load, for each of the three claims."""
    for which, (name, colour) in enumerate(zip(FORMULAS, ARM_COLOURS, strict=False)):
        asked = ("patterns, 95 % kept", "patterns, exact", "nets, all exact")[which]
        band(axes, GRID, curves[which], colour, f"{asked}, over {name}")
    axes.axvline(1, color="#BBBBBB", lw=0.6, zorder=0)
    axes.axhline(0.5, color="#BBBBBB", lw=0.6, ls=":", zorder=0)
    axes.set(xlabel="patterns over the formula's", ylabel="share of patterns, or of nets")
    axes.set_title(f"a  binary net, n = {units}", loc="left")
    axes.set(ylim=(-0.05, 1.5), yticks=np.linspace(0, 1, 6))
    axes.legend(loc="upper right")


def draw_dense(axes: Axes, stored: dict[int, Array], sizes: Sequence[int]) -> None:
    """Draw how many patterns are stored over the units, for each order."""
    for (order, times), colour in zip(ORDERS.items(), ARM_COLOURS, strict=False):
        slope = np.mean([exponent(sizes, row) for row in stored[order]])
        n = [times * size for size in sizes]
        band(axes, n, stored[order], colour, f"k = {order}: n^{slope:.2f}")
    axes.set(xscale="log", yscale="log", xlabel="units n", ylabel="patterns stored")
    every = sorted({times * size for times in ORDERS.values() for size in sizes})
    ticks = every[::3]
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set_title("b  dense net, 0.5 % of units wrong", loc="left")
    axes.legend()


def draw_continuous(axes: Axes, found: Sequence[dict[float, tuple[Array, Array]]]) -> None:
    """Draw each error over its bound, which lies on the diagonal."""
    for beta, colour in zip(BETAS, ARM_COLOURS, strict=False):
        error, bound = (np.concatenate([f[beta][i] for f in found]) for i in (0, 1))
        axes.plot(bound, error, ".", color=colour, ms=2, label=f"beta {beta:g}", rasterized=True)
    axes.plot(axes.get_xlim(), axes.get_xlim(), color="#BBBBBB", lw=0.6, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="bound", ylabel="error of one update")
    axes.set_title("c  continuous net", loc="left")
    axes.legend()


def band(axes: Axes, x: Sequence[float] | Array, rows: Array, colour: str, label: str) -> None:
    """Draw the mean over seeds with bars of its 95 % interval."""
    e = [estimate(column) for column in rows.T]
    mean = np.array([one.mean for one in e])
    bars = np.nan_to_num([mean - [one.low for one in e], [one.high for one in e] - mean])
    axes.errorbar(x, mean, bars, color=colour, marker=".", capsize=1.5, label=label)


def say_binary(sizes: Sequence[int], seeds: range) -> dict[int, Array]:
    """Print what binary nets recall; return the curves of the last size, by claim."""
    print("binary: what is recalled at the formula; and the number of patterns at which")
    print("half is, over the formula")
    curves = {}
    for units in sizes:
        for which, name in enumerate(FORMULAS):
            found = [binary(units, which, seed) for seed in seeds]
            curves[which] = np.array([curve for curve, _, _ in found])
            there, half = estimate([f[2] for f in found]), estimate([f[1] for f in found])
            print(f"  n = {units:<5} {name:<11} {there!s:<26} {half!s}")
        share = estimate([wrong(units, seed) for seed in seeds])
        print(f"  n = {units:<5} wrong units at 0.138 n: {share}")
    return curves


def say_dense(sizes: Sequence[int], seeds: range) -> dict[int, Array]:
    """Print what dense nets store; return it by order: a row a seed."""
    print("\ndense: patterns stored with 0.5 % of units wrong; exponent of their growth with n")
    stored = {}
    for order, times in ORDERS.items():
        rows = [[capacity(times * n, order, seed) for n in sizes] for seed in seeds]
        stored[order] = np.array(rows)
        slope = estimate([exponent(sizes, row) for row in stored[order]])
        numbers = ", ".join(f"{mean:.3g}" for mean in stored[order].mean(0))
        print(f"  k = {order}: {numbers} at n = {[times * n for n in sizes]}: {slope}")
    return stored


def say_continuous(seeds: range) -> list[dict[float, tuple[Array, Array]]]:
    """Print how far continuous nets stay below their bound; return errors and bounds."""
    print("\ncontinuous: largest error of one update over its bound; where the bound is below 1,")
    print("the share of states, and the largest error and bound of them")
    found = [retrieval(seed) for seed in seeds]
    for beta in BETAS:
        error, bound = (np.concatenate([f[beta][i] for f in found]) for i in (0, 1))
        tight = bound < 1
        most = [np.max(values[tight], initial=0) for values in (error, bound)]
        print(
            f"  beta {beta:<4} {np.max(error / bound):.2g}; {tight.mean():.0%}, "
            f"{most[0]:.2g} and {most[1]:.2g}"
        )
    print(f"  from torch's attention: {max(attention(seed) for seed in seeds):.1e}")
    return found


def main() -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--units", type=int, nargs="+", default=[125, 250, 500], metavar="N")
    parser.add_argument("--dense", type=int, nargs="+", default=[16, 24, 32, 48, 64], metavar="N")
    parser.add_argument("--out", type=Path, default=Path("hopfield_memory.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(options.seeds)
    print(f"{options.seeds} seeds: mean [95 % interval]\n")
    curves = say_binary(options.units, seeds)
    stored = say_dense(options.dense, seeds)
    retrieved = say_continuous(seeds)
    rises = np.array([energies(seed) for seed in seeds])
    print(f"\nlargest rise of E in a sweep: {rises[:, 0].max():.1e} (binary), ", end="")
    print(f"{rises[:, 1].max():.1e} (dense)")
    print(f"cycles of two, all units at once: {estimate(rises[:, 2])} of states")
    with styled():
        drawn = figure(WIDTH, 2.4)
        left, middle, right = drawn.subplots(1, 3)
        draw_binary(left, curves, options.units[-1])
        draw_dense(middle, stored, options.dense)
        draw_continuous(right, retrieved)
        drawn.suptitle(f"{options.seeds} seeds; bars: 95 % intervals of the mean")
        print("\nfigure", save(drawn, options.out))


if __name__ == "__main__":
    main()
