"""Gated units written out against torch.nn.GRU: states, potentials, gradients, one step."""

import pytest
import torch

from neuro_aws.functional import gru
from neuro_aws.functional.gru import Cell, Gates

BATCH, STEPS, INPUTS, UNITS = 3, 7, 4, 5
NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def reference(both: bool) -> torch.nn.GRU:
    torch.manual_seed(0)
    return torch.nn.GRU(INPUTS, UNITS, bidirectional=both, batch_first=True).double()


def weights_of(module, suffix="") -> list[torch.Tensor]:
    return [getattr(module, n + suffix).detach().clone().requires_grad_() for n in NAMES]


def inputs() -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(BATCH, STEPS, INPUTS, generator=draw, dtype=torch.float64)


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both ways"])
def test_states_and_gradients_are_those_of_torch(both):
    module, x = reference(both), inputs().requires_grad_()
    ways = [weights_of(module, s) for s in (("", "_reverse") if both else ("",))]
    wanted = module(x)[0]
    found = gru.run(x, *(Gates(*w) for w in ways)).fired
    assert torch.allclose(found, wanted, rtol=0, atol=1e-14)
    by = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(2)).double()
    flat = [t for w in ways for t in w]
    theirs = torch.autograd.grad((wanted * by).sum(), [x, *module.parameters()])
    mine = torch.autograd.grad((found * by).sum(), [x, *flat])
    assert all(torch.allclose(a, b, rtol=0, atol=1e-13) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("gain", [None, [1.0, 0.0, 2.0, 1.0, 0.5]], ids=["plain", "gains"])
def test_gradients_at_states_and_at_potentials_are_finite_differences(gain):
    x, weights = inputs(), weights_of(reference(False))
    factors = None if gain is None else torch.tensor(gain).double()

    def ran(x, *tensors):
        return gru.run(x, Gates(*tensors), gain=factors)[:2]

    short = x[:2, :4].detach().requires_grad_()
    assert torch.autograd.gradcheck(ran, (short, *weights))


def test_potentials_are_what_candidates_are_the_tanh_of():
    w, u, b, c = (t.detach() for t in weights_of(reference(False)))
    x, gain = inputs(), torch.tensor([1.0, 0.0, 1.0, 3.0, 1.0]).double()
    ran, h = gru.run(x, Gates(w, u, b, c), gain=gain), torch.zeros(BATCH, UNITS).double()
    for t in range(STEPS):
        drive, back = x[:, t] @ w.T + b, h @ u.T + c
        r, z = torch.sigmoid((drive + back)[:, : 2 * UNITS]).chunk(2, 1)
        a = drive[:, 2 * UNITS :] + r * back[:, 2 * UNITS :]
        raw = (1 - z) * torch.tanh(a) + z * h
        h = gain * raw
        for found, wanted in zip(ran, (h, a, raw), strict=True):
            assert torch.allclose(found[:, t], wanted, rtol=1e-12, atol=1e-14)


def test_steps_one_by_one_are_a_run_through_all():
    gates = Gates(*(t.detach() for t in weights_of(reference(False))))
    gain = torch.tensor([1.0, 0.0, 1.0, 3.0, 1.0]).double()
    numbers = torch.arange(BATCH * STEPS).view(BATCH, STEPS) % INPUTS
    sent = torch.tensor([1.0, 0.0, 2.0, 1.0]).double()
    x = torch.nn.functional.one_hot(numbers, INPUTS) * sent
    cell, h = Cell.of(gates, sent, gain), torch.zeros(BATCH, UNITS).double()
    wanted = gru.run(x, gates, gain=gain).fired
    for t in range(STEPS):
        h = cell.step(cell.driven[numbers[:, t]], h)
        assert torch.allclose(h, wanted[:, t], rtol=1e-12, atol=1e-14)


def test_weights_by_unit_are_turned_to_those_by_gate():
    w, u, b, c = (t.detach() for t in weights_of(reference(False)))
    by_unit = [t.view(3, UNITS, *t.shape[1:]).transpose(0, 1) for t in (w, b, u, c)]
    found = Gates.by_unit(*by_unit)
    assert all(torch.equal(a, t) for a, t in zip(found, (w, u, b, c), strict=True))
