"""The DDC Helmholtz machine against steps by hand, exact posteriors and likelihoods, and itself resumed."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from neuro_aws.algorithms.ddc_helmholtz import DdcHelmholtz
from neuro_aws.backends.rate.build import build_network
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.errors import ProtocolError
from neuro_aws.functional import ddc
from neuro_aws.functional.noise import Draws
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL, NREM, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol import theories as sections
from neuro_aws.protocol.model import Homeostasis, NetworkSection, Noise
from neuro_aws.recording.writer import Discard
from tests.algorithms.test_conformance import BINARY, CONV, DDC, SMALL_CODE
from tests.conftest import TINY, TINY_CONV
from tests.reference.autograd import psi
from tests.reference.passes import Logged, rows_of

RATES = (
    DDC,
    *SMALL_CODE,
    "algorithm.gain=1",
    "network.prior=standard",
    "network.bottom=linear",
    "network.noise.scale=0.3",
)
ONES = torch.ones(16, 1).double()


def silencing() -> dict[int, torch.Tensor]:
    gains = {1: torch.ones(20).double()}
    gains[1][:6], gains[1][7] = 0, 2
    return gains


def moved(network, seed: int = 3) -> None:
    """Give recognition, read-outs and theta values that none of them has at initialisation."""
    noise = Draws(torch.Generator().manual_seed(seed), torch.float64)
    for kind in (FEEDFORWARD, READOUT, FEEDBACK):
        for tensor in network.parameters(kind).values():
            tensor.add_(0.1 * noise.normal(tensor.shape))


def named(network) -> dict[str, torch.Tensor]:
    kinds = (FEEDFORWARD, FEEDBACK, READOUT, LATERAL)
    return {n: t.clone() for kind in kinds for n, t in network.parameters(kind).items()}


def code(w, layer: int, h: torch.Tensor) -> torch.Tensor:
    v = w[f"code_of{layer}"]
    n = h.shape[1]
    return torch.cat([h, torch.tanh(h @ v[:, :n].T + math.sqrt(n + 1) * v[:, n]), ONES], 1)


def up(w, i: int, below: torch.Tensor, units: int) -> torch.Tensor:
    mean = below[:, :units] @ w[f"feedforward_into{i}"].T + w[f"feedforward_into{i}_bias"]
    mean = mean + below[:, units:-1] @ w[f"feedforward_from_code_into{i}"].T
    return torch.cat([mean, below @ w[f"feedforward_code_into{i}"].T, ONES], 1)


def stepped(built, phase, given, gains):
    noise = Logged(1)
    state = built.algorithm.propagate(built.network, given, phase, noise, gains)
    signal = built.network.acetylcholine(state)
    return state, built.algorithm.deltas(built.network, state, signal, phase), noise.drawn


@pytest.mark.parametrize("gains", [{}, silencing()], ids=["plain", "silenced"])
class TestStepsByHand:
    def test_sleep_teaches_code_and_read_outs(self, animal, gains):
        built = animal(*RATES)
        moved(built.network)
        w, top = named(built.network), rows_of(3, 6)
        state, deltas, drawn = stepped(built, REM, top, gains)
        h2 = top + w["feedback_prior"]
        z1 = h2 @ w["feedback_into1"].T + w["feedback_into1_bias"] + 0.3 * drawn[0]
        h1 = psi("relu", "rms", z1) * gains.get(1, 1.0)
        x = h1 @ w["feedback_into0"].T + w["feedback_into0_bias"] + 0.3 * drawn[1]
        for mine, its in zip(state.somas, (x, h1, h2), strict=True):
            assert torch.allclose(mine, its, rtol=1e-12)
        dreamt = [code(w, i, h) for i, h in enumerate((x, h1, h2))]
        r1 = up(w, 1, dreamt[0], 64)
        r2 = up(w, 2, r1, 20)
        assert set(deltas) == {FEEDFORWARD, READOUT, DISCRIMINATOR}

        def read(c):
            spread = c.T @ c / 16
            ridge = 1e-3 * spread.diagonal().mean() * torch.eye(len(spread)).double()
            return c @ torch.linalg.inv(spread + ridge)

        for i, below, found, n in ((1, dreamt[0], r1, 64), (2, r1, r2, 20)):
            whole = (dreamt[i] - found)[:, :-1].T @ read(below) / 16
            m = built.network.sizes[i]
            wanted = {
                f"feedforward_into{i}": whole[:m, :n],
                f"feedforward_from_code_into{i}": whole[:m, n:-1],
                f"feedforward_into{i}_bias": whole[:m, -1],
                f"feedforward_code_into{i}": whole[m:],
            }
            for name, tensor in wanted.items():
                mine = deltas[FEEDFORWARD].tensors[name]
                assert torch.allclose(mine, tensor, rtol=1e-7, atol=1e-9), name
        products = z1[:, :, None] * torch.cat([h2, ONES], 1)[:, None, :]
        low = [(j, k) for j in range(20) for k in range(j + 1)]
        squares = torch.stack([h1[:, j] * h1[:, k] for j, k in low], 1)
        for name, target, c in (
            ("readout_alpha1", products.flatten(1), dreamt[1]),
            ("readout_beta1", squares, dreamt[1]),
        ):
            wanted = (target - c @ w[name].T).T @ read(c) / 16
            mine = deltas[READOUT].tensors[name]
            assert torch.allclose(mine, wanted, rtol=1e-7, atol=1e-9), name

    def test_wake_climbs_by_what_is_read_out(self, animal, gains):
        built = animal(*RATES)
        moved(built.network)
        w, x = named(built.network), built.dataset.train[:16]
        state, deltas, drawn = stepped(built, WAKE, x, gains)
        assert drawn == []
        g = gains.get(1, torch.ones(20).double())
        r1 = up(w, 1, code(w, 0, x), 64)
        h1 = r1[:, :20] * g
        r2 = up(w, 2, torch.cat([h1, r1[:, 20:]], 1), 20)
        h2 = r2[:, :6]
        for mine, its in zip(state.somas, (x, h1, h2), strict=True):
            assert torch.allclose(mine, its, rtol=1e-10)
        first = ddc.square(r1 @ w["readout_beta1"].T, r1[:, :20]) * g * g[:, None]
        second = ddc.square(r2 @ w["readout_beta2"].T, h2)
        joint = (r1 @ w["readout_alpha1"].T).view(16, 20, 7)
        wanted = {
            "feedback_into0": x.T @ h1 / 16
            - w["feedback_into0"] @ first.mean(0)
            - w["feedback_into0_bias"][:, None] * h1.mean(0),
            "feedback_into0_bias": (x - h1 @ w["feedback_into0"].T).mean(0)
            - w["feedback_into0_bias"],
            "feedback_into1": joint[:, :, :-1].mean(0)
            - w["feedback_into1"] @ second.mean(0)
            - w["feedback_into1_bias"][:, None] * h2.mean(0),
            "feedback_into1_bias": joint[:, :, -1].mean(0)
            - h2.mean(0) @ w["feedback_into1"].T
            - w["feedback_into1_bias"],
            "feedback_prior": h2.mean(0) - w["feedback_prior"],
        }
        assert set(deltas) == {FEEDBACK, DISCRIMINATOR}
        for name, tensor in wanted.items():
            assert torch.allclose(deltas[FEEDBACK].tensors[name], tensor, rtol=1e-9), name


def test_nothing_is_learnt_in_nrem(animal):
    assert stepped(animal(*RATES), NREM, rows_of(3, 6), {})[1] == {}


def test_units_that_fire_0_or_1_are_read_by_their_probabilities(animal):
    built = animal(DDC, *SMALL_CODE, "network.prior=standard", *BINARY)
    moved(built.network)
    w = named(built.network)
    state, deltas, drawn = stepped(built, REM, rows_of(3, 6), {})
    h2 = (drawn[0] < torch.sigmoid(w["feedback_prior"])).double()
    p1 = torch.sigmoid(h2 @ w["feedback_into1"].T + w["feedback_into1_bias"])
    h1 = (drawn[1] < p1).double()
    p0 = torch.sigmoid(h1 @ w["feedback_into0"].T + w["feedback_into0_bias"])
    assert torch.equal(state.somas[1], h1)
    targets = built.algorithm.targets(state.layers, 1) | built.algorithm.targets(state.layers, 2)

    def joint(s, h):
        return (s[:, :, None] * torch.cat([h, ONES], 1)[:, None, :]).flatten(1)

    wanted = {
        "readout_alpha1": joint(h1, h2),
        "readout_beta1": joint(p0, h1),
        "readout_beta2": joint(p1, h2),
    }
    assert targets.keys() == wanted.keys() == deltas[READOUT].tensors.keys()
    assert all(torch.allclose(targets[n], t) for n, t in wanted.items())
    x = (built.dataset.train[:16] > 0).double()
    state, deltas, _ = stepped(built, WAKE, built.dataset.train[:16], {})
    r1 = up(w, 1, code(w, 0, x), 64)
    r2 = up(w, 2, r1, 20)
    first = torch.cat([x.T @ r1[:, :20] / 16, x.mean(0)[:, None]], 1)
    apart = first - (r1.mean(0) @ w["readout_beta1"].T).view(64, 21)
    above = ((r1.mean(0) @ w["readout_alpha1"].T) - r2.mean(0) @ w["readout_beta2"].T).view(20, 7)
    found = deltas[FEEDBACK].tensors
    assert torch.allclose(found["feedback_into0"], apart[:, :-1])
    assert torch.allclose(found["feedback_into0_bias"], apart[:, -1])
    assert torch.allclose(found["feedback_into1"], above[:, :-1])
    theta = r2[:, :6].mean(0) - torch.sigmoid(w["feedback_prior"])
    assert torch.allclose(found["feedback_prior"], theta)


# Machines of which everything is known


def machine(layers, seed, binary=False, sigma=0.5, **settings):
    kind = {
        "units": "binary",
        "noise": Noise(scale=0),
        **dict.fromkeys(("transfer", "bottom", "top"), "sigmoid"),
    }
    rates = {"noise": Noise(scale=sigma), "transfer": "linear", "bottom": "linear"}
    own = NetworkSection(
        layers=layers, normalisation="none", prior="standard", precision="float64",
        homeostasis=Homeostasis(over="none"), **(kind if binary else rates),
    )  # fmt: skip
    section = sections.DdcHelmholtz(name="ddc_helmholtz", forgetting=0, **settings)
    network = build_network(own, section, seed, torch.device("cpu"))
    algorithm = DdcHelmholtz(section, own)
    algorithm.initialise(network)
    return network, algorithm


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.float64)


def dream_on(network, algorithm, noise, steps, batch=250, gains=None):
    """Sleep without wake, at the rate at which moments follow."""
    for _ in range(steps):
        rate = float(algorithm.weight(network.flat(FEEDBACK)))
        state = algorithm.propagate(network, network.prior(batch, noise), REM, noise, gains or {})
        deltas = algorithm.deltas(network, state, network.acetylcholine(state), REM)
        algorithm.track(network, state)
        for kind in (FEEDFORWARD, READOUT):
            for name, tensor in network.parameters(kind).items():
                tensor.add_(deltas[kind].tensors[name], alpha=rate)


def log_likelihood(weights, x, sigma=0.5):
    """Return the exact mean log p(x) of linear layers: x is Gaussian."""
    g, c = weights["feedback_into0"], weights["feedback_into0_bias"]
    theta = weights["feedback_prior"]
    spread = torch.eye(len(theta)).double()
    if "feedback_into1" in weights:
        h = weights["feedback_into1"]
        theta = h @ theta + weights["feedback_into1_bias"]
        spread = h @ h.T + sigma**2 * torch.eye(len(h)).double()
    joint = g @ spread @ g.T + sigma**2 * torch.eye(len(g)).double()
    return MultivariateNormal(g @ theta + c, joint).log_prob(x).mean()


def known(seed, functions, layers=(4, 3, 2)):
    network, algorithm = machine(layers, seed, functions=functions, expansion=functions, gain=0.4)
    noise = draws(50 + seed)
    for tensor in network.parameters(FEEDBACK).values():
        tensor.copy_(0.5 * noise.normal(tensor.shape))
    kept = {n: t.clone() for n, t in network.parameters(FEEDBACK).items()}
    for tensor in network.parameters(FEEDBACK).values():
        tensor.add_(0.2 * noise.normal(tensor.shape))
    x = algorithm.dream(network, 500, noise).somas[0]
    for name, tensor in network.parameters(FEEDBACK).items():
        tensor.copy_(kept[name])
    return network, algorithm, x


def gradients(network, algorithm, x) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the changes of feedback, and the gradient of the exact likelihood."""
    leaves = {n: t.clone().requires_grad_() for n, t in network.parameters(FEEDBACK).items()}
    found = torch.autograd.grad(log_likelihood(leaves, x), list(leaves.values()))
    state = algorithm.propagate(network, x, WAKE, draws(0), {})
    mine = algorithm.deltas(network, state, network.acetylcholine(state), WAKE)[FEEDBACK].tensors
    rates = {name: 1.0 if name == "feedback_prior" else 4.0 for name in mine}  # 1 / sigma^2
    return {n: t * rates[n] for n, t in mine.items()}, dict(zip(mine, found, strict=True))


def apart(mine, exact) -> float:
    """Return the error of the whole gradient, over its length."""
    error = sum(float((mine[n] - exact[n]).square().sum()) for n in exact)
    return math.sqrt(error / sum(float(t.square().sum()) for t in exact.values()))


def test_every_gradient_is_that_of_the_exact_likelihood_and_more_dreams_halve_the_error():
    """Four times the dreams halve the error down to a floor: twelve times halve it here, 3 seeds."""
    few, many = [], []
    for seed in range(3):
        network, algorithm, x = known(seed, 48)
        noise = draws(90 + seed)
        dream_on(network, algorithm, noise, 12)
        few.append(apart(*gradients(network, algorithm, x)))
        dream_on(network, algorithm, noise, 138)
        mine, exact = gradients(network, algorithm, x)
        assert mine.keys() == network.parameters(FEEDBACK).keys()
        for name, tensor in exact.items():
            cosine = torch.cosine_similarity(mine[name].flatten(), tensor.flatten(), dim=0)
            assert float(cosine) > 0.9, name
        many.append(apart(mine, exact))
    assert np.mean(many) < 0.12
    assert np.mean(many) < 0.5 * np.mean(few)


def test_the_code_expects_the_error_of_the_exact_posterior():
    """E_q |x - G h - c|^2 / 2, its part that is uncertain included."""
    network, algorithm, _ = known(0, 48, (4, 2))
    dream_on(network, algorithm, draws(1), 80)
    x = algorithm.dream(network, 500, draws(2)).somas[0]
    w = network.parameters(FEEDBACK)
    g, c = w["feedback_into0"], w["feedback_into0_bias"]
    precision = torch.eye(2) + g.T @ g / 0.25
    covariance = torch.linalg.inv(precision)
    mean = ((x - c) @ g / 0.25 + w["feedback_prior"]) @ covariance
    sure = (x - c - mean @ g.T).square().sum(1).mean() / 2
    unsure = torch.trace(g @ covariance @ g.T) / 2
    assert float(algorithm.objective(network, x, draws(0))) == pytest.approx(
        float(sure + unsure), rel=0.03
    )
    assert float(unsure) > 0.2 * float(sure)


def learnt(seed, sleeps) -> tuple[float, float, float]:
    """Return log p(x) at first and after learning, and that of the model that made x."""
    network, algorithm, _ = known(seed, 32, (4, 2))
    noise, truth = draws(seed), network.parameters(FEEDBACK)
    x = algorithm.dream(network, 500, noise).somas[0]
    best = float(log_likelihood(truth, x))
    for tensor in truth.values():
        tensor.copy_(0.3 * noise.normal(tensor.shape))
    first = float(log_likelihood(truth, x))
    algorithm.section = algorithm.section.model_copy(update={"forgetting": 0.1})
    for wake in range(60):
        if sleeps or not wake:
            dream_on(network, algorithm, noise, 20 if not wake else 2)
        state = algorithm.propagate(network, x, WAKE, noise, {})
        deltas = algorithm.deltas(network, state, network.acetylcholine(state), WAKE)
        for name, tensor in truth.items():
            tensor.add_(deltas[FEEDBACK].tensors[name], alpha=0.3)
    return first, float(log_likelihood(truth, x)), best


def test_the_likelihood_rises_to_that_of_the_model_that_made_the_stimuli():
    """From several nats below it; with no sleep but before the first wake it stays below."""
    for seed in range(2):
        first, last, best = learnt(seed, sleeps=True)
        assert first < best - 2
        assert last > best - 0.05
        assert learnt(seed, sleeps=False)[1] < best - 0.1


def given_both(network, algorithm, x, noise, steps):
    """Return the covariance of two binary causes by a further read-out of their code."""
    top = algorithm.top(network, network.prior(250 * steps, noise), noise)
    c = algorithm.code(network, 1, top)
    weights = torch.linalg.lstsq(c, top.prod(1, keepdim=True), driver="gelsd").solution
    code_of_x = algorithm.recognise(network, x, None).graph.codes[1]
    return float(code_of_x @ weights - code_of_x[:, :2].prod(1))


def test_binary_causes_are_explained_away():
    """Covariance of the causes within 15 % of the exact one, of independent causes 0: 3 seeds."""
    shares = []
    for seed in range(3):
        network, algorithm = machine((1, 2), seed, binary=True, functions=12, expansion=6)
        for tensor, value in zip(network.layers[0].feedback, (4.0, -3.0), strict=True):
            tensor.fill_(value)
        network.parameters(FEEDBACK)["feedback_prior"].fill_(-1.0)
        noise = draws(seed)
        dream_on(network, algorithm, noise, 100)
        found = given_both(network, algorithm, torch.ones(1, 1).double(), noise, 100)
        causes = torch.tensor([*itertools.product((0.0, 1.0), repeat=2)]).double()
        chance = torch.exp(-causes.sum(1)) * torch.sigmoid(4 * causes.sum(1) - 3)
        chance = chance / chance.sum()
        wanted = float(chance @ causes.prod(1) - (chance @ causes).prod())
        assert wanted < -0.1
        shares.append(found / wanted)
    assert 0.85 < np.mean(shares) < 1.15
    assert min(shares) > 0.7


def test_sparse_causes_are_explained_away():
    """Covariance by what was seen, summed over it, against a sum over the plane: 3 seeds."""
    line = torch.linspace(-10, 10, 301).double()
    causes = torch.cartesian_prod(line, line)
    x = torch.linspace(-2, 2, 9).double()[:, None]
    logs = -(2**0.5) * causes.abs().sum(1) - (x - causes.sum(1)).square() / 0.5
    chance = torch.softmax(logs, 1)
    wanted = chance @ causes.prod(1) - (chance @ causes).prod(1)
    shares = []
    for seed in range(3):
        network, algorithm = machine(
            (1, 2), seed, functions=48, expansion=48, causes="laplacian", gain=2.0
        )
        network.layers[0].feedback[0].fill_(1.0)
        dream_on(network, algorithm, draws(seed), 160)
        c = algorithm.recognise(network, x, None).graph.codes[1]
        mean = c[:, :2]
        squares = ddc.square(c @ network.parameters(READOUT)["readout_beta1"].T, mean)
        shares.append(float((squares[:, 0, 1] - mean.prod(1)).sum() / wanted.sum()))
    assert 0.85 < np.mean(shares) < 1.15
    assert min(shares) > 0.7


def test_the_scale_of_sparse_causes_climbs_their_likelihood():
    """d theta is the gradient of E_q log p(h_N), by the read-out of |h_N|."""
    network, algorithm = machine((3, 2), 0, functions=8, expansion=8, causes="laplacian")
    theta = network.parameters(FEEDBACK)["feedback_prior"].copy_(torch.tensor([0.3, -0.2]))
    size = torch.tensor([0.9, 0.4]).double()
    network.parameters(READOUT)["readout_alpha1"][:, -1] = size
    x = draws(0).normal(torch.Size((5, 3)))
    state = algorithm.propagate(network, x, WAKE, draws(0), {})
    found = algorithm.deltas(network, state, network.acetylcholine(state), WAKE)[FEEDBACK]
    leaf = theta.clone().requires_grad_()
    scale = leaf.exp() / 2**0.5
    log = (-size / scale - torch.log(2 * scale)).sum()
    (wanted,) = torch.autograd.grad(log, leaf)
    assert torch.allclose(found.tensors["feedback_prior"], wanted, rtol=1e-12)
    dreamt = algorithm.dream(network, 20_000, draws(1)).somas[-1]
    assert torch.allclose(dreamt.std(0), theta.exp(), rtol=0.05)


def test_cells_silenced_in_dreams_are_expected_to_be_silent():
    network, algorithm = machine((6, 4, 2), 0, functions=24, expansion=24)
    gains = {1: torch.tensor([0.0, 1.0, 1.0, 1.0]).double()}
    noise = draws(0)
    dream_on(network, algorithm, noise, 20)
    x = algorithm.dream(network, 200, noise).somas[0]
    before = algorithm.recognise(network, x, None).somas[1].square().mean(0)
    algorithm.memory.clear()  # it forgets at once what dreams were before
    dream_on(network, algorithm, noise, 20, gains=gains)
    after = algorithm.recognise(network, x, None).somas[1].square().mean(0)
    assert float(after[0]) < 0.02 * float(before[0])
    assert bool((after[1:] > 0.2 * before[1:]).all())


def simulator(*overrides: str) -> RateSimulator:
    protocol = Protocol.from_text(TINY, "tiny.yaml", (*RATES, *overrides))
    return RateSimulator(protocol, next(iter(protocol.tree.trunks)), 0)


def test_moments_are_saved_and_taken_up_again():
    unbroken, broken, again = (simulator() for _ in range(3))
    unbroken.advance(0, 12, Discard(), lambda: False)
    broken.advance(0, 5, Discard(), lambda: False)
    again.load_state_dict(broken.state_dict())
    again.advance(5, 12, Discard(), lambda: False)
    mine, its = again.state_dict(), unbroken.state_dict()
    assert mine.keys() == its.keys()
    assert {name.rsplit("/", 1)[1] for name in mine if name.startswith("algorithm/")} == {
        "dreamt1", "dreamt2", "recognised0", "recognised1", "rem_steps",
    }  # fmt: skip
    assert any(name.endswith("code_of0") for name in mine)
    assert all(np.array_equal(mine[n], its[n]) for n in mine)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("network.bottom=tanh", "use linear"),
        ("network.top=relu", "use linear"),
        ("network.noise.scale=0", "noise.scale above 0"),
        ("network.noise.bottom=false", "bottom: true"),
        ("network.noise.density=laplacian", "use gaussian"),
        ("network.prior=learnt", "use standard"),
        ("network.homeostasis.over=time", "use none"),
        ("network.lateral=[1]", "no lateral weights"),
        ("network.order=published", "use transfer_first"),
        ("network.inverse_relu=0.1", "use 0"),
        ("network.normalise_top=true", "use false"),
        ("network.memory={hopfield: continuous, recall: exact}", "leave it out"),
        ("algorithm.density=laplacian", "use gaussian"),
        ("algorithm.functions=0", "functions"),
        ("algorithm.margin=3", "margin"),
    ],
)
def test_what_is_no_family_of_its_own_is_refused(override, said):
    key = override.split("=")[0]
    kept = [o for o in RATES if not o.startswith(f"{key}=")]
    with pytest.raises(ProtocolError, match=said):
        Protocol.from_text(TINY, "tiny.yaml", (*kept, override))


def test_maps_and_sparse_binary_causes_are_refused():
    with pytest.raises(ProtocolError, match="dense layers"):
        Protocol.from_text(TINY_CONV, "tiny.yaml", (*RATES, CONV))
    with pytest.raises(ProtocolError, match="Bernoulli"):
        Protocol.from_text(
            TINY, "tiny.yaml",
            (DDC, *BINARY, "network.prior=standard", "algorithm.causes=laplacian"),
        )  # fmt: skip
