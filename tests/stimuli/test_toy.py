"""Toys: points lie around what they are said to lie around, and are the animal's own."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from sklearn.datasets import make_swiss_roll

from neuro_aws.errors import ProtocolError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.stimuli_built_in import Toy
from neuro_aws.stimuli.toy import ROLL_WIDTH, skeleton, toy
from tests.conftest import TINY

F64 = torch.float64
FLAT = ("stimulus={source: toy, kind: mixture}", "network.layers=[2, 20, 6]")


def section(kind: str, **settings) -> Toy:
    return Toy(source="toy", kind=kind, **settings)


@pytest.mark.parametrize("kind", ["swiss_roll", "circle", "mixture"])
def test_points_lie_around_their_curve_as_far_as_the_noise_is_wide(kind):
    given = section(kind, noise=0.02, count=20_000)
    dataset = toy(given, 0, F64)
    assert dataset.train.shape == (20_000, 2)
    assert dataset.held_out.shape == (1000, 2)
    tree = cKDTree(skeleton(given))
    distance, _ = tree.query(dataset.train.numpy())
    # Beside a curve |N(0, s)|, around a centre the length of a vector of two.
    wanted = 0.02 * (np.sqrt(np.pi / 2) if kind == "mixture" else np.sqrt(2 / np.pi))
    assert distance.mean() == pytest.approx(wanted, rel=0.03)
    assert float(dataset.train.abs().max()) < 1
    seen = cKDTree(dataset.train.numpy()).query(skeleton(given, 500))[0]
    assert seen.max() < 0.04  # all of it


def test_the_roll_is_that_of_scikit_learn():
    exact, t = make_swiss_roll(200, noise=0.0, random_state=3)
    distance, at = cKDTree(skeleton(section("swiss_roll"))).query(exact[:, [0, 2]] / ROLL_WIDTH)
    assert distance.max() < 1e-3
    assert np.abs(np.linspace(1.5 * np.pi, 4.5 * np.pi, 4000)[at] - t).max() < 0.01


def test_labels_name_the_gaussian_and_animals_differ():
    given = section("mixture", modes=5)
    one, again, other = (toy(given, animal, F64) for animal in (0, 0, 1))
    nearest = torch.cdist(one.train, torch.from_numpy(skeleton(given))).argmin(1)
    assert torch.equal(nearest, one.train_labels)
    assert set(one.held_out_labels.tolist()) == set(range(5))
    assert torch.equal(one.train, again.train)
    assert not torch.equal(one.train, other.train)
    assert toy(section("circle"), 0, F64).train_labels is None


def test_it_is_no_picture_and_knows_its_own_settings():
    Protocol.from_text(TINY, "tiny.yaml", FLAT)
    with pytest.raises(ProtocolError, match="belongs to kind: mixture"):
        Protocol.from_text(
            TINY, "tiny.yaml", ("stimulus={source: toy, kind: circle, modes: 3}", FLAT[1])
        )
    with pytest.raises(ProtocolError, match="layer 0 has 64 units"):
        Protocol.from_text(TINY, "tiny.yaml", FLAT[:1])
