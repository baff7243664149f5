"""Toys of two coordinates whose distribution is known: a Swiss roll, a circle, a mixture."""

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.protocol.stimuli_built_in import Toy
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset

Points = NDArray[np.float64]

ROLL_WIDTH = 16.0
"""What scikit-learn's roll, whose arm ends 4.5 pi from its centre, is divided by."""

RADIUS = 0.8
"""Of the circle, and of the ring that a mixture's centres lie on."""

TURN = 2 * np.pi
ROLL = (1.5 * np.pi, 4.5 * np.pi)
"""Where the roll's arm begins and ends, radians (and its distance from the centre there)."""


def toy(section: Toy, animal: int, dtype: torch.dtype) -> Dataset:
    """Return points to train on and as many others as are to be held out, the animal's own."""
    rng = numpy_generator(animal, DATASET)
    points, labels = drawn(section, section.count + section.held_out, rng)
    x = torch.from_numpy(points).to(dtype)
    y = None if labels is None else torch.from_numpy(labels)
    n = section.held_out
    split = (None, None) if y is None else (y[n:], y[:n])
    return Dataset(x[n:], split[0], x[:n], split[1], (1, 2))


def drawn(
    section: Toy, count: int, rng: np.random.Generator
) -> tuple[Points, NDArray[np.int64] | None]:
    """Return so many points (count, 2), and which Gaussian each is of where there are some."""
    if section.kind == "swiss_roll":
        seed = int(rng.integers(2**31))
        from sklearn.datasets import make_swiss_roll

        roll, _ = make_swiss_roll(count, noise=section.noise * ROLL_WIDTH, random_state=seed)
        return np.ascontiguousarray(roll[:, [0, 2]]) / ROLL_WIDTH, None
    off = section.noise * rng.standard_normal((count, 2))
    if section.kind == "circle":
        return RADIUS * _around(rng.uniform(0, TURN, count)) + off, None
    labels = rng.integers(section.modes, size=count)
    return skeleton(section)[labels] + off, labels


def skeleton(section: Toy, count: int = 4000) -> Points:
    """Return what points lie around: ``count`` of the curve, or the mixture's centres."""
    if section.kind == "swiss_roll":
        t = np.linspace(*ROLL, count)
        return t[:, None] * _around(t) / ROLL_WIDTH
    if section.kind == "circle":
        return RADIUS * _around(np.linspace(0, TURN, count))
    return RADIUS * _around(np.arange(section.modes) * TURN / section.modes)


def _around(angle: Points) -> Points:
    return np.stack([np.cos(angle), np.sin(angle)], 1)
