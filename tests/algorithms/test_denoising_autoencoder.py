"""The corruption, the error from it, and its gradient, against own accounts and closed forms."""

import math

import torch

from neuro_aws.functional.corruption import corrupted
from neuro_aws.functional.noise import Draws, RecordedNoise
from neuro_aws.model.network import NO_GAINS
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, WAKE
from neuro_aws.protocol.schema import Block
from tests.algorithms.test_autoencoder import (
    LINEAR,
    SIZES,
    deltas_of,
    numbers,
    randomised,
    up_and_down,
    weights_of,
)
from tests.algorithms.test_conformance import simulate
from tests.engines import engine_of

DAE = "algorithm.name=denoising_autoencoder"


def test_error_and_gradients_are_those_of_the_clean_stimulus_from_the_corrupted_one(animal):
    built = randomised(
        animal(
            DAE,
            f"network.layers={list(SIZES)}",
            "network.noise.scale=0.3",
            "algorithm.corruption=0.8",
            "algorithm.masked=0.4",
        )
    )
    x = built.dataset.held_out[:9]
    xi, draws = numbers(9, 64), [numbers(9, n, seed=n) for n in SIZES[1:]]
    uniform = torch.rand(9, 64, generator=torch.Generator().manual_seed(3)).double()
    gains = {1: torch.linspace(0, 2, 20).double()}
    noise = RecordedNoise([xi, *draws], [uniform])
    state = built.algorithm.propagate(built.network, x, WAKE, noise, gains)
    shown = torch.where(uniform < 0.4, 0.0, x + 0.8 * xi)
    assert torch.equal(state.somas[0], shown)
    w = weights_of(built.network)
    wanted = 0.5 * (x - up_and_down(w, shown, draws, gains, 0.3)).square().sum(1)
    assert torch.allclose(state.graph.error, wanted, rtol=1e-11, atol=0)
    found = deltas_of(built, state)
    for name, gradient in zip(w, torch.autograd.grad(wanted.mean(), list(w.values())), strict=True):
        assert torch.allclose(found[name], -gradient, rtol=1e-9, atol=1e-12), name
    noise = RecordedNoise([xi, *draws], [uniform])
    objective = built.algorithm.objective(built.network, x, noise)
    plain = 0.5 * (x - up_and_down(w, shown, draws, {}, 0.3)).square().sum(1).mean()
    assert torch.allclose(objective, plain.detach(), rtol=1e-11)


def test_a_linear_one_ends_at_the_wiener_filter_of_the_largest_components(animal):
    """The best six numbers shrink each component by lambda / (lambda + s^2): nothing changes there."""
    s = 0.6
    built = animal(DAE, *LINEAR, f"algorithm.corruption={s}")
    x = built.dataset.held_out[:100]
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    u, kept = vectors[:, -6:], values[-6:] / (values[-6:] + s**2)
    up, down = (built.network.parameters(kind) for kind in (FEEDFORWARD, FEEDBACK))
    up["feedforward_into1"].copy_(u.T), up["feedforward_into1_bias"].copy_(-u.T @ mean)
    down["feedback_into0"].copy_(u * kept), down["feedback_into0_bias"].copy_(mean)
    points = math.sqrt(64) * torch.cat([torch.eye(64), -torch.eye(64)]).double()
    rows, xi = x.repeat_interleave(128, 0), points.repeat(len(x), 1)  # exact for a quadratic
    state = built.algorithm.propagate(built.network, rows, WAKE, RecordedNoise([xi]), NO_GAINS)
    left = (values.sum() - (values[-6:] * kept).sum()) / 2
    assert torch.allclose(state.graph.error.detach().mean(), left, rtol=1e-10)
    for name, tensor in deltas_of(built, state).items():
        assert float(tensor.abs().max()) < 1e-9, name


def test_with_nothing_corrupted_it_is_the_autoencoder_to_the_bit(animal):
    runs = [
        simulate(engine_of(animal(name, *more), (Block(wake=1), Block(rem=1)), 5))
        for name, more in (
            (DAE, ("algorithm.corruption=0",)),
            ("algorithm.name=autoencoder", ()),
            (DAE, ()),
        )
    ]
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


def test_corruption_is_as_large_as_it_says():
    draws = Draws(torch.Generator().manual_seed(0), torch.float64)
    x = torch.full((400, 500), 0.5, dtype=torch.float64)
    seen = corrupted(x, draws, 0.7, 0.25)
    silent = seen == 0
    assert abs(float(silent.double().mean()) - 0.25) < 0.005
    assert abs(float((seen - x)[~silent].std()) - 0.7) < 0.01
    assert abs(float((seen - x)[~silent].mean())) < 0.01
    assert corrupted(x, RecordedNoise(), 0.0, 0.0) is x
