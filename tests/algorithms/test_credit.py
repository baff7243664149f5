"""Every credit mode, as a whole network learns by it, against autograd in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro_aws.algorithms.credit import CREDITS, ScalarCredit
from neuro_aws.backends.rate.build import build_animal
from neuro_aws.functional.densities import score
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, NetworkState
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, WAKE
from neuro_aws.protocol import Protocol
from tests.conftest import TINY
from tests.reference import autograd
from tests.reference.autograd import relative_error

TRANSFER = st.sampled_from(["relu", "leaky_relu", "softplus", "tanh", "sigmoid", "linear"])
NORMALISATION = st.sampled_from(["rms", "l2", "none"])


def moment(
    seed: int, sizes: list[int], transfer: str, normalisation: str, *more: str, gained: bool = False
) -> tuple[Network, NetworkState, AcetylcholineSignal, object]:
    """Return a network after one wake step, with everything random."""
    overrides = [
        "network.precision=float64",
        f"network.layers=[64, {', '.join(map(str, sizes))}]",
        f"network.transfer={transfer}",
        f"network.normalisation={normalisation}",
        *more,
    ]
    spec = Protocol.from_text(
        TINY.replace("layer: 1, fraction", "layer: 0, fraction"), "t", overrides
    ).spec
    built = build_animal(spec, seed, torch.device("cpu"))
    network = built.network
    for p in (FEEDFORWARD, FEEDBACK):
        for tensor in network.parameters(p).values():  # biases too
            tensor += 0.1 * torch.randn(
                tensor.shape, generator=torch.Generator().manual_seed(seed), dtype=tensor.dtype
            )
    noise = KeyedNoise(seed, "noise", torch.float64)
    gains = {}
    if gained:
        gains = {1: torch.tensor([0.0, 0.5, 2.0, *[1.0] * (sizes[0] - 3)], dtype=torch.float64)}
    x = built.dataset.train[:7]
    state = built.algorithm.propagate(network, x, WAKE, noise.at(0), gains)
    return network, state, network.acetylcholine(state), built.algorithm


SIZES = st.lists(st.integers(3, 8), min_size=1, max_size=3)


def objective(network: Network, somata: list[torch.Tensor], kl: float) -> torch.Tensor:
    return autograd.discriminator(network.acetylcholine.weights, somata).mean() + kl * autograd.kl(
        somata[-1]
    )


@given(
    seed=st.integers(0, 9999),
    sizes=SIZES,
    transfer=TRANSFER,
    norm=NORMALISATION,
    gained=st.booleans(),
    inverse=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_backprop_is_the_gradient_through_all_of_f(seed, sizes, transfer, norm, gained, inverse):
    more = ["network.inverse_relu=0.5"] if inverse and transfer == "relu" else []
    network, state, ach, _ = moment(seed, sizes, transfer, norm, *more, gained=gained)
    weights = {n: w.clone().requires_grad_() for n, w in network.parameters(FEEDFORWARD).items()}
    somata = autograd.replay(network, state, weights, detach=False)
    for found, wanted in zip(state.somas, somata, strict=True):
        assert relative_error(found, wanted.detach()) < 1e-10
    gradients = torch.autograd.grad(objective(network, somata, 0.3), list(weights.values()))
    changes = CREDITS["backprop"]()(network, state, ach, 0.3)
    for name, wanted in zip(weights, gradients, strict=True):
        assert relative_error(changes[name], -wanted) < 1e-8


@given(
    seed=st.integers(0, 9999),
    sizes=SIZES,
    transfer=TRANSFER,
    norm=NORMALISATION,
    gained=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_layer_is_the_gradient_with_the_graph_cut_between_layers(
    seed, sizes, transfer, norm, gained
):
    network, state, ach, _ = moment(seed, sizes, transfer, norm, gained=gained)
    weights = {n: w.clone().requires_grad_() for n, w in network.parameters(FEEDFORWARD).items()}
    somata = autograd.replay(network, state, weights, detach=True)
    gradients = torch.autograd.grad(objective(network, somata, 0.3), list(weights.values()))
    changes = CREDITS["layer"]()(network, state, ach, 0.3)
    for name, wanted in zip(weights, gradients, strict=True):
        assert relative_error(changes[name], -wanted) < 1e-8


def test_layer_random_differs_only_in_the_way_back():
    network, state, ach, _ = moment(1, [8, 5], "relu", "rms", "algorithm.credit=layer_random")
    path = network.acetylcholine.return_path
    assert path is not None
    own = network.acetylcholine.weights
    assert not any(torch.equal(a, b) for a, b in zip(path.reading, own.reading, strict=True))
    assert not torch.equal(path.readout, own.readout)
    for teaching, gradient in zip(ach.teaching, ach.own.gradient, strict=True):
        assert teaching.shape == gradient.shape
        assert not torch.allclose(teaching, gradient)
    u, r = ach.own.reading.potential[:, 8:], path.readout[8:]
    top = torch.where(u > 0, r, 0.1 * r)
    assert relative_error(ach.teaching[-1], top @ path.reading[-1]) < 1e-12


@given(seed=st.integers(0, 9999), sizes=SIZES, transfer=TRANSFER)
@settings(max_examples=20, deadline=None)
def test_scalar_is_reinforce_with_the_batch_mean_as_baseline(seed, sizes, transfer):
    network, state, ach, _ = moment(seed, sizes, transfer, "rms")
    level = network.acetylcholine.level(state.somas)
    centred = level - level.mean()
    changes = CREDITS["scalar"]()(network, state, ach, 0.0)
    for i in range(network.depth):
        name = f"feedforward_into{i + 1}"
        potential = state.layers[i + 1].drive.potential
        w = network.layers[i].feedforward[0].clone().requires_grad_()
        mean = state.layers[i].transmitted @ w.T + network.layers[i].feedforward[1]
        log_p = -((potential - mean) ** 2).sum(-1) / (2 * network.noise.sigma**2)
        (gradient,) = torch.autograd.grad((centred * log_p).mean(), w)
        assert relative_error(changes[name], -gradient) < 1e-8
        assert (
            relative_error(
                changes[f"{name}_bias"],
                -(centred[:, None] * score(state.layers[i + 1].xi, 0.2, "gaussian")).mean(0),
            )
            < 1e-8
        )


def test_scalar_points_on_average_where_backprop_points():
    """REINFORCE and the exact gradient agree in expectation: cosine over many samples."""
    cosines = []
    for seed in range(3):
        network, _, _, algorithm = moment(seed, [6], "tanh", "none", "network.noise.scale=0.05")
        x = torch.rand(
            20000, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        noise = KeyedNoise(seed, "many", torch.float64).at(0)
        x = x[:1].expand(20000, 64)
        state = algorithm.propagate(network, x, WAKE, noise, {})
        ach = network.acetylcholine(state)
        scalar, exact = (
            CREDITS[c]()(network, state, ach, 0.0)["feedforward_into1_bias"]
            for c in ("scalar", "backprop")
        )
        cosines.append(float(torch.cosine_similarity(scalar, exact, 0)))
    assert min(cosines) > 0.9


@pytest.mark.parametrize("credit", ["layer", "backprop", "scalar", "none"])
def test_kl_reaches_the_top_and_only_backprop_carries_it_down(credit):
    network, state, ach, _ = moment(2, [8, 5], "relu", "rms")
    without, with_ = (CREDITS[credit]()(network, state, ach, kl) for kl in (0.0, 1.0))
    top, bottom = f"feedforward_into{network.depth}", "feedforward_into1"
    assert not torch.allclose(without[top], with_[top])
    assert torch.allclose(without[bottom], with_[bottom]) == (credit != "backprop")


def test_none_has_no_teaching_signal_but_the_kl():
    network, state, ach, _ = moment(2, [8, 5], "relu", "rms")
    changes = CREDITS["none"]()(network, state, ach, 0.0)
    assert changes.keys() == network.parameters(FEEDFORWARD).keys()
    assert all(bool((t == 0).all()) for t in changes.values())


def test_running_baseline_reads_release():
    network, state, ach, _ = moment(2, [8, 5], "relu", "rms")
    network.acetylcholine.baseline += ach.level.mean()
    again = network.acetylcholine(state)
    batch = ScalarCredit()(network, state, again, 0.0)
    running = ScalarCredit(running_baseline=True)(network, state, again, 0.0)
    assert relative_error(running["feedforward_into1"], batch["feedforward_into1"]) < 1e-10


@pytest.mark.parametrize("credit", ["layer", "backprop", "scalar", "none"])
def test_a_weight_per_sample_is_the_mean_of_the_weighted_samples(credit):
    network, state, ach, _ = moment(4, [8, 5], "relu", "rms")
    ones = torch.ones(7, dtype=torch.float64)
    plain = CREDITS[credit]()(network, state, ach, 0.1)
    doubled = CREDITS[credit]()(network, state, ach, 0.1, 2 * ones)
    for name, change in plain.items():
        assert torch.allclose(2 * change, doubled[name])
