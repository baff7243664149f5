"""Convolutional layers: equal to dense ones when unrolled, and to autograd in every derivative."""

from functools import partial

import pytest
import torch
from torch.nn import functional as f

from neuro_aws.algorithms.base import feedback_delta
from neuro_aws.algorithms.credit import CREDITS
from neuro_aws.functional import batch_norm
from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Psi, fire
from neuro_aws.functional.convolution import Geometry, down, outer, up
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.functional.plasticity import feedforward_plasticity, predictive_plasticity
from neuro_aws.functional.shapes import like, rows
from neuro_aws.functional.spectral import leading, shrink, shrink_back
from neuro_aws.model.conv import ConvForm, ConvLayer
from neuro_aws.model.dense import DenseLayer
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, WAKE
from tests.reference import autograd
from tests.reference.autograd import relative_error

STRIDED, TOP = Geometry(4, 2, 1), Geometry(2, 1, 0)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    made = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return made.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else made


@pytest.mark.parametrize("below", [1, 3, 5])  # by patches, and by the library
def test_up_down_and_outer_are_the_librarys_convolutions(below):
    x, w, b = draw(6, below, 8, 8), draw(7, below, 4, 4), draw(below)
    y = draw(6, 7, 4, 4)
    leaf, kernel = x.clone().requires_grad_(), w.clone().requires_grad_()
    wanted = f.conv2d(leaf, kernel, stride=2, padding=1)
    at_x, at_w = torch.autograd.grad((wanted * y).sum(), (leaf, kernel))
    assert relative_error(up(x, w, STRIDED), wanted.detach()) < 1e-12
    assert relative_error(down(y, w, STRIDED), at_x) < 1e-12
    assert relative_error(outer(y, x, w, STRIDED), at_w) < 1e-12
    biased = f.conv_transpose2d(y, w, b, 2, 1)
    assert relative_error(down(y, w, STRIDED, b), biased) < 1e-12


def test_bfloat16_products_are_near_and_not_equal():
    x, w = draw(6, 5, 8, 8).float(), draw(7, 5, 4, 4).float()
    exact, low = up(x, w, STRIDED), up(x, w, STRIDED._replace(low=True))
    assert low.dtype is torch.float32
    assert 1e-5 < relative_error(low, exact) < 0.02


def conv_layer(geometry: Geometry, side: int, normalised: str = "none", **more) -> ConvLayer:
    relu, tanh = Psi(TRANSFERS["relu"], "none", axis=1), Psi(TRANSFERS["tanh"], axis=1)
    weight = draw(5, 3, geometry.kernel, geometry.kernel)
    more_tensors = {"none": (0,), "affine": (1, 0), "plain": ()}[normalised]
    feedforward = [weight, *(torch.full((5,), float(v), dtype=weight.dtype) for v in more_tensors)]
    feedback = [torch.roll(weight, 1, 0), torch.zeros(3, dtype=weight.dtype)]
    form = ConvForm(geometry, side, **more)
    return ConvLayer(feedforward, feedback, tanh, relu, tanh, form)


def unrolled(layer: ConvLayer, shape: tuple[int, int, int], way) -> torch.Tensor:
    """Return the matrix of a linear map of maps: its response to every unit alone, no bias."""
    units = shape[0] * shape[1] * shape[2]
    basis = like(torch.eye(units, dtype=torch.float64), torch.zeros(units, *shape))
    return rows(way(basis)).T


@pytest.mark.parametrize(("geometry", "side"), [(STRIDED, 8), (TOP, 2)])
def test_a_convolution_unrolled_is_the_dense_layer(geometry, side):
    """States, predictions and both projections' changes, a kernel's being the sum over its copies."""
    layer = conv_layer(geometry, side)
    layer.feedforward[1] += draw(5)
    layer.feedback[1] += draw(3)
    below, above = layer.shape_below(), layer.shape_above()
    forward = unrolled(layer, below, lambda x: up(x, layer.feedforward[0], geometry))
    back = unrolled(layer, above, lambda y: down(y, layer.feedback[0], geometry))
    biases = [layer.feedforward[1], layer.feedback[1]]
    many = [
        b.repeat(n // len(b))
        for b, n in zip(biases, (forward.shape[0], back.shape[0]), strict=True)
    ]
    relu, tanh = Psi(TRANSFERS["relu"]), Psi(TRANSFERS["tanh"])
    dense = DenseLayer([forward, many[0]], [back, many[1]], tanh, relu)
    x, y = draw(6, *below), draw(6, *above, seed=1)
    fired, flat = layer.recognise(x), dense.recognise(rows(x))
    assert relative_error(rows(fired.rate), flat.rate) < 1e-12
    guess, flat_guess = layer.predict(y), dense.predict(rows(y))
    assert relative_error(rows(guess.rate), flat_guess.rate) < 1e-12
    teach = draw(6, *above, seed=2)
    psi = layer.psi_above
    found = feedforward_plasticity(
        teach, fired, psi, x, partial(layer.onto_feedforward, fired=fired)
    )
    wanted = feedforward_plasticity(rows(teach), flat, relu, rows(x))
    shared(found, wanted, lambda w: unrolled(layer, below, lambda x: up(x, w, geometry)))
    found = predictive_plasticity(
        x,
        guess,
        layer.psi_predicted,
        y,
        onto=partial(layer.onto_feedback, fired=guess),
    )
    wanted = predictive_plasticity(rows(x), flat_guess, tanh, rows(y))
    shared(found, wanted, lambda w: unrolled(layer, above, lambda y: down(y, w, geometry)))


def shared(found, wanted, unroll) -> None:
    """A kernel's change is what all its copies in the unrolled matrix change by, together."""
    for index in [(0, 0, 0, 0), (4, 2, 1, 0), (2, 1, 1, 1), (3, 0, 0, 1)]:
        one = torch.zeros_like(found[0])
        one[index] = 1.0
        copies = unroll(one)
        assert float(found[0][index]) == pytest.approx(float((wanted[0] * copies).sum()), rel=1e-9)
    units = len(found[1])
    assert relative_error(found[1], wanted[1].view(-1, units).sum(0)) < 1e-10


@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_and_its_way_back(affine):
    x, t = draw(5, 3, 4, 4), draw(5, 3, 4, 4, seed=1)
    scale, shift = (draw(3), draw(3, seed=1)) if affine else (None, None)
    leaves = [p.clone().requires_grad_() for p in (x, scale, shift) if p is not None]
    mean, var = leaves[0].mean((0, 2, 3), True), leaves[0].var((0, 2, 3), False, keepdim=True)
    y = (leaves[0] - mean) / torch.sqrt(var + 1e-5)
    if affine:
        y = y * leaves[1].view(-1, 1, 1) + leaves[2].view(-1, 1, 1)
    wanted = torch.autograd.grad((y * t).sum(), leaves)
    value, normed = batch_norm.normalise(x, scale, shift)
    assert relative_error(value, y.detach()) < 1e-12
    for found, grad in zip(batch_norm.back(t, normed, scale), wanted, strict=False):
        assert found is not None
        assert relative_error(found, grad) < 1e-9
    running = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    reference = torch.nn.BatchNorm2d(3).double()
    reference(x)
    batch_norm.track(*running, normed)
    assert relative_error(running[0], reference.running_mean) < 1e-9
    assert relative_error(running[1], reference.running_var) < 1e-9


def test_spectral_normalisation_finds_the_largest_singular_value():
    w = draw(6, 3, 2, 2)
    u = torch.ones(6, dtype=torch.float64) / 6**0.5
    for _ in range(300):
        u = leading(w, u)
    assert float(torch.linalg.svdvals(shrink(w, u).flatten(1))[0]) == pytest.approx(1.0, abs=1e-9)
    leaf, t = w.clone().requires_grad_(), draw(6, 3, 2, 2, seed=1)
    (wanted,) = torch.autograd.grad(
        (leaf / torch.linalg.svdvals(leaf.flatten(1))[0] * t).sum(), leaf
    )
    assert relative_error(shrink_back(t, w, u), wanted) < 1e-6


@pytest.mark.parametrize("credit", ["layer", "backprop"])
@pytest.mark.parametrize(
    "more", [(), ("network.inverse_relu=0.5",), ("network.batch_norm=affine",)]
)
def test_credit_in_a_convolutional_network_is_the_gradient(animal, credit, more):
    """Of mean D + kl KL, with the graph cut between layers (`layer`) or whole (`backprop`)."""
    built = animal("network.dcgan={filters: 2, latents: 4, side: 16}", *more)
    network = built.network
    noise = KeyedNoise(0, "noise", torch.float64)
    state = built.algorithm.propagate(network, built.dataset.train[:7], WAKE, noise.at(0), {})
    ach = network.acetylcholine(state)
    weights = {n: w.clone().requires_grad_() for n, w in network.parameters(FEEDFORWARD).items()}
    somata = [state.layers[0].soma]
    for i, layer in enumerate(network.layers):
        there, name = state.layers[i + 1], f"feedforward_into{i + 1}"
        carried = somata[-1]
        if i and state.layers[i].transmitted is not state.layers[i].soma:
            here = state.layers[i]
            carried = torch.where(here.soma > 0, carried, here.transmitted)
        below = carried.detach() if credit == "layer" else carried
        stride, padding = layer.geometry.stride, layer.geometry.padding
        a = f.conv2d(below, weights[name], stride=stride, padding=padding)
        if f"{name}_scale" in weights:
            scale, shift = weights[f"{name}_scale"], weights[f"{name}_shift"]
            a = f.batch_norm(a, None, None, scale, shift, training=True)
        else:
            a = a + weights[f"{name}_bias"].view(-1, 1, 1)
        a = a + network.noise.sigma * there.xi
        if i + 1 < network.depth:
            v = torch.relu(a)
            a = v / torch.sqrt((v**2).mean(1, keepdim=True) + 1e-8)
        somata.append(a)
    level = autograd.discriminator(network.acetylcholine.weights, [rows(h) for h in somata])
    objective = level.mean() + 0.3 * autograd.kl(rows(somata[-1]))
    wanted = torch.autograd.grad(objective, list(weights.values()))
    found = CREDITS[credit]()(network, state, ach, 0.3)
    assert found.keys() == weights.keys()
    for name, grad in zip(weights, wanted, strict=True):
        assert relative_error(found[name], -grad) < 1e-8


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_feedback_with_a_normalised_drive_is_the_gradient(animal, reduction):
    """Eq. 2 through batch normalisation, transfer and the pool of channels."""
    built = animal(
        "network.dcgan={filters: 2, latents: 4, side: 16}", "network.batch_norm_feedback=true"
    )
    network = built.network
    noise = KeyedNoise(0, "noise", torch.float64)
    state = built.algorithm.propagate(network, built.dataset.train[:7], WAKE, noise.at(0), {})
    weights = {n: w.clone().requires_grad_() for n, w in network.parameters(FEEDBACK).items()}
    loss = torch.zeros((), dtype=torch.float64)
    for i, layer in enumerate(network.layers):
        h, above = state.layers[i].soma, state.layers[i + 1].soma
        stride, padding = layer.geometry.stride, layer.geometry.padding
        weight, bias = weights[f"feedback_into{i}"], weights[f"feedback_into{i}_bias"]
        a = f.conv_transpose2d(above, weight, bias, stride, padding)
        if i:
            v = torch.relu(f.batch_norm(a, None, None, training=True))
            d = v / torch.sqrt((v**2).mean(1, keepdim=True) + 1e-8)
        else:
            d = torch.tanh(a)
        units = h[0].numel() if reduction == "mean" else 1
        loss = loss + 0.5 * (h - d).square().sum() / (7 * units)
    wanted = torch.autograd.grad(loss, list(weights.values()))
    found = feedback_delta(network, state, "gaussian", reduction)
    for name, grad in zip(weights, wanted, strict=True):
        if name.endswith("_bias") and name != "feedback_into0_bias":
            # a bias before a normalisation moves nothing
            assert float(found[name].abs().sum()) == 0
            assert float(grad.norm()) < 1e-9
        else:
            assert relative_error(found[name], -grad) < 1e-8


def test_prediction_and_dream_have_one_psi_but_for_the_noise(animal):
    built = animal("network.dcgan={filters: 2, latents: 4, side: 16}", "network.noise.scale=0")
    network = built.network
    noise = KeyedNoise(0, "noise", torch.float64).at(0)
    dreamt = network.dream(network.prior(5, noise), noise)
    for i, layer in enumerate(network.layers):
        guess = layer.predict(dreamt.layers[i + 1].soma)
        assert torch.allclose(guess.rate, dreamt.layers[i].soma)
        assert torch.allclose(fire(layer.psi_below, guess.potential).rate, guess.rate)
