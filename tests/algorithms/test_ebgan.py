"""An energy-based GAN: its energy, the gradients of both players, and what they leave alone."""

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from tests.algorithms.test_conformance import BINARY, CONV
from tests.conftest import TINY
from tests.reference.autograd import psi, relative_error
from tests.reference.passes import Account, Logged, assert_same, one_step, rows_of

NAME = "algorithm.name=ebgan"
NOISY = (NAME, "network.noise.scale=0.3", "network.prior=standard")
ERRORS = {
    "sum": ((), lambda x, d: (x - d).square().sum(1) / 2),
    "mean": (("algorithm.reduction=mean",), lambda x, d: (x - d).square().mean(1) / 2),
    "absolute": (("algorithm.density=laplacian",), lambda x, d: (x - d).abs().sum(1)),
}
KINDS = (FEEDFORWARD, READOUT)


def silencing() -> dict[int, torch.Tensor]:
    gains = {1: torch.ones(20).double(), 2: torch.ones(6).double()}
    gains[1][:6], gains[1][7], gains[2][1] = 0, 2, 0
    return gains


def decoded(own: Account, code, gains):
    """d_0 from the code, by the decoder's weights."""
    w = own.leaves[READOUT]
    a = code @ w["decoder_into1"].T + w["decoder_into1_bias"]
    h = psi("relu", "rms", a) * gains.get(1, 1.0)
    return torch.tanh(h @ w["decoder_into0"].T + w["decoder_into0_bias"])


@pytest.mark.parametrize("gains", [{}, silencing()], ids=["plain", "silenced"])
@pytest.mark.parametrize("which", list(ERRORS))
class TestBothPlayers:
    def test_wake_lowers_the_error_of_stimuli(self, animal, gains, which):
        settings, error = ERRORS[which]
        built = animal(*NOISY, *settings)
        x = built.dataset.train[:16]
        state, deltas, own = one_step(built, WAKE, x, gains)
        energy = error(x, decoded(own, own.up(x, gains)[-1], gains))
        assert set(deltas) == {FEEDFORWARD, READOUT, DISCRIMINATOR}
        for kind in KINDS:
            assert_same(deltas[kind], own.descent(energy.mean(), kind))
        assert bool((state.somas[1][:, :6] == 0).all()) == bool(gains)

    def test_rem_raises_that_of_dreams_up_to_the_margin_and_g_lowers_it(self, animal, gains, which):
        settings, error = ERRORS[which]
        probe = animal(*NOISY, *settings)
        z = rows_of(3, 6)
        state, _, _ = one_step(probe, REM, z, gains)
        margin = float(state.graph.error.detach().mean())  # some dreams are above it
        built = animal(*NOISY, *settings, f"algorithm.margin={margin}")
        state, deltas, own = one_step(built, REM, z, gains)
        x = own.down(z * gains.get(2, 1.0), gains, noisy=True)[0]
        energy = error(x, decoded(own, own.up(x, gains)[-1], gains))
        assert 0 < int((energy > margin).sum()) < 16
        hinge = torch.clamp(margin - energy, min=0).mean()
        for kind in KINDS:
            assert_same(deltas[kind], own.descent(hinge, kind))
        assert_same(deltas[FEEDBACK], own.descent(energy.mean(), FEEDBACK))
        for passed in (state, *state.passes):
            assert bool((passed.somas[1][:, :6] == 0).all()) == bool(gains)


def test_dreams_above_the_margin_teach_g_alone(animal):
    built = animal(*NOISY, "algorithm.margin=1.0e-6")
    _, deltas, _ = one_step(built, REM, rows_of(3, 6), {})
    for kind in KINDS:
        assert all(float(t.abs().max()) == 0 for t in deltas[kind].tensors.values())
    assert float(deltas[FEEDBACK].tensors["feedback_into0"].abs().max()) > 0


def test_in_wake_it_is_an_autoencoder_whose_way_down_is_the_decoder(animal):
    """The other theory's step, with the decoder's weights where that has G."""
    mine, other = animal(*NOISY), animal("algorithm.name=autoencoder", *NOISY[1:])
    x = mine.dataset.train[:16]
    network = other.network
    for kind in (FEEDFORWARD, FEEDBACK):
        given = mine.network.parameters(READOUT if kind == FEEDBACK else kind)
        for tensor, value in zip(network.parameters(kind).values(), given.values(), strict=True):
            tensor.copy_(value)
    before = {n: t.clone() for n, t in mine.network.parameters(FEEDBACK).items()}
    state, deltas, _ = one_step(mine, WAKE, x, silencing())
    its_state, its, _ = one_step(other, WAKE, x, silencing())
    for name, tensor in its[FEEDFORWARD].tensors.items():
        assert torch.equal(deltas[FEEDFORWARD].tensors[name], tensor)
    for name, tensor in its[FEEDBACK].tensors.items():
        mine_too = deltas[READOUT].tensors[name.replace("feedback", "decoder")]
        assert torch.equal(mine_too, tensor)
    dendrites = (s.layers[0].dendrite.rate for s in (state, its_state))
    assert torch.equal(*dendrites)
    for name, tensor in mine.network.parameters(FEEDBACK).items():
        assert torch.equal(tensor, before[name])  # and G is in its place again
        assert (
            tensor.data_ptr()
            == mine.network.named(FEEDBACK, mine.network.flat(FEEDBACK))[name].data_ptr()
        )


def test_the_objective_is_the_energy_of_stimuli(animal):
    built = animal(*NOISY)
    x, noise = built.dataset.held_out[:30], Logged(2)
    found = float(built.algorithm.objective(built.network, x, noise))
    own = Account(built.network, noise.drawn)
    wanted = ERRORS["sum"][1](x, decoded(own, own.up(x, {})[-1], {})).mean()
    assert found == pytest.approx(float(wanted.detach()), rel=1e-12)


def test_the_decoder_of_maps_is_a_transposed_convolution(animal):
    settings = ("network.normalisation=none", "network.noise.scale=0")
    built = animal(CONV, NAME, *settings, "algorithm.margin=1000")
    z = rows_of(3, 4)
    state = built.algorithm.propagate(built.network, z, REM, RecordedNoise(), {})
    deltas = built.algorithm.deltas(built.network, state, built.network.acetylcholine(state), REM)
    own = Account(built.network, ())
    x = h = down(own.leaves[FEEDBACK], "feedback", z.view(16, 4, 1, 1))
    for i in range(1, 5):
        name = f"feedforward_into{i}"
        w, bias = (own.leaves[FEEDFORWARD][n] for n in (name, f"{name}_bias"))
        stride, pad = (1, 0) if i == 5 else (2, 1)
        h = torch.relu(conv2d(h, w, bias, stride=stride, padding=pad))
    name = "feedforward_into5"
    code = conv2d(h, own.leaves[FEEDFORWARD][name], own.leaves[FEEDFORWARD][f"{name}_bias"])
    energy = (x - down(own.leaves[READOUT], "decoder", code)).square().sum((1, 2, 3)) / 2
    assert relative_error(state.graph.error.detach(), energy.detach()) < 1e-10
    wanted = {
        FEEDBACK: own.descent(energy.mean(), FEEDBACK),
        FEEDFORWARD: own.descent(-energy.mean(), FEEDFORWARD),
        READOUT: own.descent(-energy.mean(), READOUT),
    }
    for kind, tensors in wanted.items():
        for key, tensor in tensors.items():
            assert relative_error(deltas[kind].tensors[key], tensor) < 1e-8, key


def down(weights, word: str, top):
    h = top
    for i in range(4, -1, -1):
        w, bias = weights[f"{word}_into{i}"], weights[f"{word}_into{i}_bias"]
        stride, pad = (1, 0) if i == 4 else (2, 1)
        a = conv_transpose2d(h, w, bias, stride=stride, padding=pad)
        h = torch.relu(a) if i else torch.tanh(a)
    return h


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("network.layers=[64, 20, 64]", "fewer units at the top"),
        ("algorithm.margin=0", "margin"),
        ("algorithm.gamma=0", "gamma"),
    ],
)
def test_settings_that_have_no_meaning_are_refused(setting, says):
    settings = (NAME, "targets.cells.layer=0", setting)
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(TINY, "tiny.yaml", settings)
    with pytest.raises(ProtocolError, match="use rate units"):
        Protocol.from_text(TINY, "tiny.yaml", (NAME, *BINARY))
