"""The toy of interneurons as discriminators: predicting single cells misses their joint activity.

    python analysis/interneuron_toy.py [--steps 6000] [--seeds 5] [--out interneuron_toy.png]

Cell A drives B and C, B drives C; a teacher T drives B and C in wake. In sleep there is no teacher:

    wake    B = 0.6 A + 0.8 T + 0.3 xi        C = 0.6 A - 0.8 T + 0.3 xi       A, T, xi ~ N(0, 1)
    sleep   B = b A + beta xi_B               C = c A + d B + gamma xi_C

Both rules learn b, c, d, beta, gamma by the same optimiser, from the same number of samples:

    single cells   climbs log p(B|A) + log p(C|A), a cell in wake under what it does in sleep:
                   B | A ~ N(b A, beta^2),  C | A ~ N((c + d b) A, d^2 beta^2 + gamma^2)
    interneurons   read A, B and C, Hebbian in wake and anti-Hebbian in sleep, as in the theory
                   `interneuron` (``functional/interneurons``), and teach in sleep what they see:
                   db = < t_B A >        dc = < t_C A >        dd = < t_C B >
                   dbeta = < t_B xi_B >  dgamma = < t_C xi_C >
                   t = sum_m s_m q_m u_m, what they say to the cell

"All for wake" are the same interneurons without those that vote for sleep (s = -1): E is then
convex, and never lowers what varies more in sleep than in wake.

Prints the Kullback-Leibler divergence of the binned joint of B and C in wake from that in sleep
(nats; 20 x 20 bins), its floor (wake against wake), and the correlation of B and C given A.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.functional.interneurons import Interneurons, hebbian_plasticity, votes
from neuro_aws.functional.optimisers import Adam
from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import figure, save, styled

DRIVE, TEACHER, NOISE = 0.6, 0.8, 0.3
BATCH, COUNT, SCALING, LENGTH = 256, 32, 0.1, 2.0
RATE, INTERNEURON_RATE = 1e-3, 5e-2
"""Interneurons have to be faster than what they teach; that of the cells falls to a fiftieth."""

Array = NDArray[Any]
SAMPLES, BINS, RANGE = 200_000, 20, 3.0


@dataclass
class Cells:
    """What drives B and C in sleep: b, c, d, beta, gamma, in this order."""

    weights: Tensor

    def sleep(self, a: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return B and C."""
        b, c, d, beta, gamma = self.weights
        first = b * a + beta * noise[:, 0]
        return first, c * a + d * first + gamma * noise[:, 1]


def wake(count: int, draw: torch.Generator) -> Tensor:
    """Return so many samples of A, B and C under the teacher."""
    a, teacher, one, two = torch.randn(4, count, generator=draw, dtype=torch.float64)
    first = DRIVE * a + TEACHER * teacher + NOISE * one
    return torch.stack([a, first, DRIVE * a - TEACHER * teacher + NOISE * two], -1)


def asleep(cells: Cells, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return so many samples of A, B and C without the teacher, and the noise of B and C."""
    a = torch.randn(count, generator=draw, dtype=torch.float64)
    noise = torch.randn(count, 2, generator=draw, dtype=torch.float64)
    return torch.stack([a, *cells.sleep(a, noise)], -1), noise


def single_cells(cells: Cells, samples: Tensor) -> Tensor:
    """Return the ascent direction of < log p(B|A) + log p(C|A) >, written out."""
    b, c, d, beta, gamma = cells.weights
    a, first, second = samples.unbind(-1)
    spread, joint = beta.square(), d.square() * beta.square() + gamma.square()
    at_b, at_c = (first - b * a) / spread, (second - (c + d * b) * a) / joint
    wide_b = (at_b.square() - 1 / spread) / 2  # d log p / d variance
    wide_c = (at_c.square() - 1 / joint) / 2
    each = [
        at_b * a + at_c * d * a,
        at_c * a,
        at_c * b * a + wide_c * 2 * d * spread,
        wide_b * 2 * beta + wide_c * 2 * d.square() * beta,
        wide_c * 2 * gamma,
    ]
    return torch.stack([part.mean() for part in each])


def change_by_interneurons(group: Interneurons, samples: Tensor, noise: Tensor) -> Tensor:
    """Return what the interneurons make the connections that they see change by, in sleep."""
    below, own = samples[:, :1], samples[:, 1:]
    to_b, to_c = group.teaching(group.rates(below, own)).unbind(-1)
    a, first, _ = samples.unbind(-1)
    each = [to_b * a, to_c * a, to_c * first, to_b * noise[:, 0], to_c * noise[:, 1]]
    return torch.stack([part.mean() for part in each])


RULES = {"single cells": None, "interneurons": 0.5, "all for wake": 0.0}
"""Every rule, with the share of the interneurons that vote for sleep."""


def learn(rule: str, seed: int, steps: int) -> Cells:
    """Return the cells after so many pairs of wake and sleep."""
    draw = torch.Generator().manual_seed(seed)
    initial = 0.3 * torch.randn(5, generator=draw, dtype=torch.float64)
    initial[3:] = 0.5
    cells = Cells(initial)
    vector = torch.randn(COUNT * 4, generator=draw, dtype=torch.float64) / 2
    opposed = RULES[rule]
    group = grouped(vector, opposed or 0.0)
    own, theirs = Adam(RATE, (0.0, 0.9), 1e-8), Adam(INTERNEURON_RATE, (0.0, 0.9), 1e-8)
    moments, their_moments = own.start(cells.weights), theirs.start(vector)
    for step in range(steps):
        fall = max(0.02, 1 - step / steps)
        waking = wake(BATCH, draw)
        if opposed is None:
            cells.weights += fall * own.step(single_cells(cells, waking), moments)
            continue
        dreamt, noise = asleep(cells, BATCH, draw)
        delta = hebbian(group, waking, 1.0) + hebbian(group, dreamt, -1.0)
        change = change_by_interneurons(group, dreamt, noise)
        vector += theirs.step(delta, their_moments)
        cells.weights += fall * own.step(change, moments)
    return cells


def grouped(vector: Tensor, opposed: float) -> Interneurons:
    """Return interneurons whose weights are views of a vector."""
    below, own, bias = torch.split(vector, [COUNT, COUNT * 2, COUNT])
    cast = votes(COUNT, opposed, vector)
    return Interneurons(below.view(COUNT, 1), own.view(COUNT, 2), bias, cast)


def hebbian(group: Interneurons, samples: Tensor, sign: float) -> Tensor:
    """Return what the interneurons change by in one phase, as one vector."""
    below, own = samples[:, :1], samples[:, 1:]
    rates = group.rates(below, own)
    changes = hebbian_plasticity(group, rates, below, own, sign, SCALING, LENGTH)
    return torch.cat([change.flatten() for change in changes])


def binned(samples: Tensor) -> Array:
    """Return the shares of samples by bin of B and C; what lies outside counts for the edge."""
    pairs = samples[:, 1:].clamp(-RANGE + 1e-9, RANGE - 1e-9).numpy()
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    counts = np.histogram2d(pairs[:, 0], pairs[:, 1], (edges, edges))[0] + 0.5
    return np.asarray(counts / counts.sum())


def divergence(p: Array, q: Array) -> float:
    """Return KL(p || q), nats."""
    return float((p * np.log(p / q)).sum())


def given_a(samples: Tensor) -> float:
    """Return the correlation of B and C given A."""
    a, rest = samples[:, :1], samples[:, 1:]
    left = rest - a @ (torch.linalg.lstsq(a, rest).solution)
    return float(torch.corrcoef(left.T)[0, 1])


def main() -> None:
    """Print the table and draw the joints of animal 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("interneuron_toy.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    truth = torch.Generator().manual_seed(10_000)
    waking, again = wake(SAMPLES, truth), wake(SAMPLES, truth)
    print(f"wake against wake: KL {divergence(binned(waking), binned(again)):.4f}")
    print(f"correlation of B and C given A, in wake: {given_a(waking):.2f}")
    shown = {"wake": binned(waking)}
    for rule in RULES:
        found, tied = [], []
        for seed in range(options.seeds):
            dreamt, _ = asleep(learn(rule, seed, options.steps), SAMPLES, truth)
            found.append(divergence(binned(waking), binned(dreamt)))
            tied.append(given_a(dreamt))
            shown.setdefault(rule, binned(dreamt))
        listed = " ".join(f"{value:.4f}" for value in found)
        print(f"{rule}: KL {listed}   mean {estimate(found)}   correlation {estimate(tied)}")
    draw_joints(shown, options.out)
    print(options.out)


def draw_joints(shown: dict[str, Array], path: Path) -> None:
    """Draw the binned joints side by side."""
    with styled():
        drawn = figure(7.2, 2.2)
        for axes, (name, joint) in zip(drawn.subplots(1, 4), shown.items(), strict=True):
            extent = (-RANGE, RANGE, -RANGE, RANGE)
            axes.imshow(joint.T, origin="lower", extent=extent, cmap="Greys")
            axes.set_title(name, loc="left")
            axes.set(xlabel="B", ylabel="C")
        save(drawn, path)


if __name__ == "__main__":
    main()
