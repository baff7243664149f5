"""A dense network of three layers passed through by hand: weights of its own, the same noise.

For tests that hold a theory's Deltas against autograd of an objective written there.
"""

import torch

from neuro_aws.functional.noise import Draws
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, READOUT
from tests.reference.autograd import psi, relative_error

SIZES = (64, 20, 6)


class Logged(Draws):
    """Random numbers that are kept for a second account of the same step."""

    def __init__(self, seed: int) -> None:
        super().__init__(torch.Generator().manual_seed(seed), torch.float64)
        self.drawn: list[torch.Tensor] = []

    def normal(self, shape):
        self.drawn.append(super().normal(shape))
        return self.drawn[-1]

    def uniform(self, shape):
        self.drawn.append(super().uniform(shape))
        return self.drawn[-1]


class Account:
    """E, G and d of a dense network, by weights of their own and given noise."""

    def __init__(self, network, drawn) -> None:
        self.leaves = {
            kind: {n: t.clone().requires_grad_() for n, t in network.parameters(kind).items()}
            for kind in (FEEDFORWARD, FEEDBACK, READOUT)
        }
        self.next = iter(drawn)

    def draw(self, noisy: bool = True):
        return next(self.next) if noisy else 0.0

    def up(self, x, gains, until=2):
        somata, w = [x], self.leaves[FEEDFORWARD]
        for i in range(1, until + 1):
            a = somata[-1] @ w[f"feedforward_into{i}"].T + w[f"feedforward_into{i}_bias"]
            a = a + 0.3 * self.draw()
            h = a if i == 2 else psi("relu", "rms", a)
            somata.append(h * gains.get(i, 1.0))
        for i in range(until + 1, 3):  # drawn, and not used
            assert self.draw().shape[1] == SIZES[i]
        return somata

    def down(self, z, gains, noisy):
        somata, w = [z], self.leaves[FEEDBACK]
        for i in (1, 0):
            a = somata[-1] @ w[f"feedback_into{i}"].T + w[f"feedback_into{i}_bias"]
            a = a + 0.3 * self.draw(noisy)
            h = torch.tanh(a) if i == 0 else psi("relu", "rms", a)
            somata.append(h * gains.get(i, 1.0))
        return somata[::-1]

    def external(self, h):
        w = self.leaves[READOUT]
        return h @ w["external"].T.squeeze(1) + w["external_bias"]

    def descent(self, loss, kind):
        tensors = list(self.leaves[kind].values())
        found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
        return {
            n: torch.zeros_like(t) if g is None else -g
            for (n, t), g in zip(self.leaves[kind].items(), found, strict=True)
        }


def one_step(built, phase, given, gains, seed=1):
    """Return the state, the Deltas and a second account of a step outside of a run."""
    noise = Logged(seed)
    state = built.algorithm.propagate(built.network, given, phase, noise, gains)
    signal = built.network.acetylcholine(state)
    deltas = built.algorithm.deltas(built.network, state, signal, phase)
    return state, deltas, Account(built.network, noise.drawn)


def assert_same(delta, wanted):
    assert delta.tensors.keys() == wanted.keys()
    assert any(float(t.abs().sum()) > 0 for t in wanted.values())
    for name, tensor in wanted.items():
        assert relative_error(delta.tensors[name], tensor) < 1e-10, name


def rows_of(seed: int, units: int) -> torch.Tensor:
    return torch.randn(
        16, units, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
