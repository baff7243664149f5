"""The error of the way up and down, and its gradient, against own accounts of them."""

import math

import pytest
import torch
from torch import Tensor

from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.model.network import NO_GAINS
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.conftest import TINY
from tests.engines import engine_of
from tests.reference.autograd import psi

AE = "algorithm.name=autoencoder"
LINEAR = (
    "network.layers=[64, 6]",
    "network.bottom=linear",
    "network.normalisation=none",
    "network.noise.scale=0",
)
SIZES = (64, 20, 10, 6)
ERRORS = {
    "squared": ((), lambda x, d: 0.5 * (x - d) ** 2),
    "absolute": (("algorithm.density=laplacian",), lambda x, d: (x - d).abs()),
    "cross_entropy": (
        ("algorithm.cross_entropy=true",),
        lambda x, d: torch.nn.functional.binary_cross_entropy(
            (1 + d) / 2, (1 + x) / 2, reduction="none"
        ),
    ),
}


def randomised(built):
    """Move every weight, biases too: none of them is 0."""
    generator = torch.Generator().manual_seed(5)
    for kind in (FEEDFORWARD, FEEDBACK):
        vector = built.network.flat(kind)
        vector.add_(0.1 * torch.randn(vector.shape, generator=generator, dtype=vector.dtype))
    return built


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(network) -> dict[str, Tensor]:
    return {
        name: tensor.clone().requires_grad_()
        for kind in (FEEDFORWARD, FEEDBACK)
        for name, tensor in network.parameters(kind).items()
    }


def up_and_down(w, shown: Tensor, draws, gains, sigma: float) -> Tensor:
    """d_0 from weights and draws alone."""
    h, top = shown, len(SIZES) - 1
    for i in range(1, top + 1):
        a = h @ w[f"feedforward_into{i}"].T + w[f"feedforward_into{i}_bias"] + sigma * draws[i - 1]
        h = (a if i == top else psi("relu", "rms", a)) * gains.get(i, 1.0)
    for i in range(top - 1, -1, -1):
        a = h @ w[f"feedback_into{i}"].T + w[f"feedback_into{i}_bias"]
        h = psi("relu", "rms", a) * gains.get(i, 1.0) if i else torch.tanh(a)
    return h


def deltas_of(built, state) -> dict[str, Tensor]:
    signal = built.network.acetylcholine(state, RecordedNoise())
    deltas = built.algorithm.deltas(built.network, state, signal, WAKE)
    return {**deltas[FEEDFORWARD].tensors, **deltas[FEEDBACK].tensors}


@pytest.mark.parametrize("which", list(ERRORS))
def test_error_and_gradients_are_those_of_an_own_account_with_the_same_noise(animal, which):
    overrides, of = ERRORS[which]
    layers = f"network.layers={list(SIZES)}"
    built = randomised(animal(AE, layers, "network.noise.scale=0.3", *overrides))
    network, algorithm = built.network, built.algorithm
    x = built.dataset.held_out[:9]
    gains = {i: torch.linspace(0, 2, n, dtype=torch.float64) for i, n in enumerate(SIZES) if i}
    draws = [numbers(9, n, seed=n) for n in SIZES[1:]]
    state = algorithm.propagate(network, x, WAKE, RecordedNoise(draws), gains)
    w = weights_of(network)
    wanted = of(x, up_and_down(w, x, draws, gains, 0.3)).sum(1)
    assert torch.allclose(state.graph.error, wanted, rtol=1e-10, atol=0)
    found = deltas_of(built, state)
    for name, gradient in zip(w, torch.autograd.grad(wanted.mean(), list(w.values())), strict=True):
        assert torch.allclose(found[name], -gradient, rtol=1e-8, atol=1e-11), name
    plain = of(x, up_and_down(w, x, draws, {}, 0.3)).sum(1).mean()
    again = algorithm.objective(network, x, RecordedNoise(draws))
    assert float(again) == pytest.approx(float(plain.detach()), rel=1e-10)


def test_a_linear_one_leaves_what_principal_components_leave_and_stays_there(animal):
    """Eckart and Young: no six numbers do better than the six largest components."""
    built = animal(AE, *LINEAR)
    x = built.dataset.held_out
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    components = vectors[:, -6:]
    up, down = (built.network.parameters(kind) for kind in (FEEDFORWARD, FEEDBACK))
    up["feedforward_into1"].copy_(components.T)
    up["feedforward_into1_bias"].copy_(-components.T @ mean)
    down["feedback_into0"].copy_(components), down["feedback_into0_bias"].copy_(mean)
    state = built.algorithm.propagate(built.network, x, WAKE, RecordedNoise(), NO_GAINS)
    left = float(values[:-6].sum()) / 2
    assert float(state.graph.error.detach().mean()) == pytest.approx(left, rel=1e-10)
    for name, tensor in deltas_of(built, state).items():
        assert float(tensor.abs().max()) < 1e-10, name
    down["feedback_into0"].add_(0.02 * numbers(64, 6))
    worse = built.algorithm.objective(built.network, x, RecordedNoise())
    assert float(worse) > left + 1e-3


def test_the_dendrites_carry_the_way_down(animal):
    built = randomised(animal(AE, f"network.layers={list(SIZES)}"))
    draws = [numbers(5, n, seed=n) for n in SIZES[1:]]
    x = built.dataset.held_out[:5]
    state = built.algorithm.propagate(built.network, x, WAKE, RecordedNoise(draws), NO_GAINS)
    sent = state.somas[-1]
    for layer, below in zip(reversed(built.network.layers), state.layers[-2::-1], strict=True):
        sent = layer.predict(sent).rate
        assert torch.allclose(below.dendrite.rate, sent, rtol=1e-12)
    assert not state.layers[0].dendrite.rate.requires_grad


@pytest.mark.parametrize("where", ["after_normalisation", "before_normalisation"])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_silenced_cell_sends_nothing_on_either_way(animal, layer, where):
    built = randomised(
        animal(AE, "network.layers=[64, 20, 10, 6]", f"network.perturb_activity={where}")
    )
    gain = torch.ones(SIZES[layer], dtype=torch.float64)
    gain[:3] = 0
    draws = [numbers(16, n, seed=n) for n in SIZES[1:]]
    x = built.dataset.held_out[:16]
    state = built.algorithm.propagate(built.network, x, WAKE, RecordedNoise(draws), {layer: gain})
    assert float(state.somas[layer][:, :3].abs().max()) == 0
    found = deltas_of(built, state)
    for name in (f"feedforward_into{layer + 1}", f"feedback_into{layer - 1}"):
        assert float(found[name][:, :3].abs().max()) == 0, name
        assert float(found[name][:, 3:].abs().max()) > 0, name
    for name in (f"feedforward_into{layer}", f"feedback_into{layer}"):
        pooled = where == "after_normalisation"  # its drive then counts in the pool of its layer
        assert (float(found[name][:3].abs().max()) == 0) == (not pooled), name


def test_sleep_teaches_the_discriminator_only(animal):
    one = engine_of(animal(AE), (Block(wake=1), Block(rem=1), Block(nrem=1)), 1)
    learnt = {m.spec.phase: set(m.deltas) for m in map(one.step, range(3))}
    wanted = {FEEDFORWARD, FEEDBACK, DISCRIMINATOR}
    assert learnt == {WAKE: wanted, REM: {DISCRIMINATOR}, NREM: set()}


def test_cross_entropy_stays_finite_where_the_tanh_is_saturated(animal):
    built = animal(AE, "algorithm.cross_entropy=true")
    built.network.parameters(FEEDBACK)["feedback_into0_bias"].fill_(40.0)
    x = -torch.ones(4, 64, dtype=torch.float64)
    noise = RecordedNoise([numbers(4, n) for n in (20, 6)])
    found = float(built.algorithm.objective(built.network, x, noise))
    assert math.isfinite(found)
    assert found == pytest.approx(64 * 80, rel=0.2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("network.bottom=linear", "algorithm.cross_entropy=true"), "network.bottom: tanh"),
        (("algorithm.reduction=mean",), "use reduction: sum"),
        (("network.layers=[64, 20, 64]",), "fewer units at the top"),
    ],
)
def test_what_does_not_fit_is_refused(changes, says):
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(TINY, "tiny.yaml", (AE, *changes))
