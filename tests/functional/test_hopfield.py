"""Hopfield networks: energies against updates, closed forms, attention, the bound on retrieval."""

import itertools

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from neuro_aws.functional import hopfield as net

UNITS, STORED = 24, 5


def signs(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, shape, generator=generator).double() * 2 - 1


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_weights_are_the_hebbian_sum():
    x = signs(STORED, UNITS)
    w = net.weights(x)
    assert w[2, 7] == pytest.approx(sum(p[2] * p[7] for p in x) / UNITS)
    assert torch.equal(w.diagonal(), torch.zeros(UNITS).double())


def test_energies_are_the_sums_they_stand_for():
    x, s, theta = signs(STORED, UNITS), signs(3, UNITS, seed=1), normal(UNITS)
    w = net.weights(x)
    pairs = itertools.product(range(UNITS), repeat=2)
    field = sum(w[i, j] * s[:, i] * s[:, j] for i, j in pairs)
    wanted = -0.5 * field + sum(theta[i] * s[:, i] for i in range(UNITS))
    assert torch.allclose(net.binary_energy(w, s, theta), wanted)
    wanted = -sum(((s @ p) / UNITS) ** 3 for p in x)
    assert torch.allclose(net.dense_energy(x, s, 3), wanted)
    h, q, beta = normal(STORED, UNITS), normal(3, UNITS, seed=1), 0.7
    lse = sum((beta * (q @ p)).exp() for p in h).log() / beta
    longest = max(float(p @ p) for p in h)
    wanted = -lse + 0.5 * (q * q).sum(1) + torch.log(torch.tensor(5.0)) / beta + 0.5 * longest
    assert torch.allclose(net.continuous_energy(h, q, beta), wanted)
    assert (net.continuous_energy(h, q, beta) >= 0).all()


def test_a_unit_takes_the_sign_that_its_energy_is_lower_at():
    """One sweep, one unit at a time, against the energies of both its states."""
    x, theta = signs(STORED, 6), 0.3 * normal(6)
    w = net.weights(x)
    for start in signs(20, 6, seed=1):
        for energy, swept in (
            (lambda s: net.binary_energy(w, s, theta), net.binary_sweep(w, start[None], theta)),
            (lambda s: net.dense_energy(x, s, 3), net.dense_sweep(x, start[None], 3)),
        ):
            s = start.clone()
            for i in range(6):
                up, down = s.clone(), s.clone()
                up[i], down[i] = 1, -1
                gap = float(energy(up[None]) - energy(down[None]))
                s = s if abs(gap) < 1e-12 else down if gap > 0 else up
            assert torch.equal(swept[0], s)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_energy_falls_unit_by_unit(order):
    """Until nothing changes any more, far above capacity too."""
    x, s = signs(30, UNITS), signs(40, UNITS, seed=1)
    w = net.weights(x)
    steps = {
        "binary": (lambda s: net.binary_sweep(w, s), lambda s: net.binary_energy(w, s)),
        "dense": (lambda s: net.dense_sweep(x, s, order), lambda s: net.dense_energy(x, s, order)),
    }
    for sweep, energy in steps.values():
        state, before = s, energy(s)
        for _ in range(50):
            state = sweep(state)
            assert (energy(state) <= before + 1e-12).all()
            before = energy(state)
        assert torch.equal(sweep(state), state)
        assert (before < energy(s)).any()


def test_all_together_two_states_may_follow_each_other_for_ever():
    w = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    s = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    assert torch.equal(net.binary_update(w, s), -s)
    assert torch.equal(net.binary_update(w, -s), s)
    assert torch.equal(net.binary_sweep(w, net.binary_sweep(w, s)), net.binary_sweep(w, s))
    assert net.binary_energy(w, net.binary_sweep(w, s)) < net.binary_energy(w, s)


def test_order_two_is_the_binary_net():
    x, s = signs(STORED, UNITS), signs(10, UNITS, seed=1)
    w = net.weights(x)
    assert torch.equal(net.dense_update(x, s, 2), net.binary_update(w, s))
    assert torch.equal(net.dense_sweep(x, s, 2), net.binary_sweep(w, s))
    apart = net.dense_energy(x, s, 2) - 2 / UNITS * net.binary_energy(w, s)
    assert torch.allclose(apart, apart[0].expand(10))


def test_what_is_stored_is_recalled_with_its_mirror_image_if_the_order_is_even():
    x = signs(2, UNITS)
    w = net.weights(x)
    assert torch.equal(net.binary_sweep(w, -x), -x)
    for order in (2, 4):
        assert torch.equal(net.dense_sweep(x, -x, order), -x)
    assert not torch.equal(net.dense_sweep(x, -x, 3), -x)
    noisy = x.clone()
    noisy[:, :4] *= -1
    assert torch.equal(net.dense_sweep(x, noisy, 3), x)
    assert torch.equal(net.binary_sweep(net.weights(x[:1]), noisy[:1]), x[:1])


def test_a_row_of_zeros_stores_nothing():
    x, s = signs(STORED, UNITS), signs(10, UNITS, seed=1)
    more = torch.cat([x, torch.zeros(3, UNITS).double()])
    assert torch.equal(net.weights(more), net.weights(x))
    assert torch.equal(net.dense_sweep(more, s, 3), net.dense_sweep(x, s, 3))


@pytest.mark.parametrize("beta", [0.01, 0.3, 5.0])
def test_one_update_is_attention(beta):
    x, s = normal(50, UNITS), normal(9, UNITS, seed=1)
    wanted = scaled_dot_product_attention(s, x, x, scale=beta)
    assert (net.continuous_update(x, s, beta) - wanted).abs().max() < 1e-12
    some = torch.arange(50) < 20
    wanted = scaled_dot_product_attention(s, x[:20], x[:20], scale=beta)
    assert (net.continuous_update(x, s, beta, some) - wanted).abs().max() < 1e-12


def test_small_beta_gives_the_mean_and_large_beta_the_nearest():
    x = normal(50, UNITS)
    assert torch.allclose(net.continuous_update(x, x, 1e-9), x.mean(0).expand(50, -1), atol=1e-6)
    assert torch.allclose(net.continuous_update(x, x, 100.0), x[(x @ x.T).argmax(1)], atol=1e-9)


@pytest.mark.parametrize("by_distance", [False, True])
def test_energy_of_the_continuous_net_falls(by_distance):
    x, s = normal(50, UNITS), normal(40, UNITS, seed=1)
    before = net.continuous_energy(x, s, 0.2, by_distance)
    for _ in range(20):
        s = net.continuous_update(x, s, 0.2, by_distance=by_distance)
        now = net.continuous_energy(x, s, 0.2, by_distance)
        assert (now <= before + 1e-12).all()
        assert (now >= 0).all()
        before = now


def test_by_distance_the_nearest_is_retrieved_by_product_a_longer_one():
    x, s = normal(50, UNITS), normal(200, UNITS, seed=1)
    x[:5] *= 2
    near = net.continuous_update(x, s, 1e5, by_distance=True)
    assert torch.allclose(near, x[torch.cdist(s, x).argmin(1)], atol=1e-3)
    assert near.norm(dim=1).mean() < 0.8 * net.continuous_update(x, s, 1e5).norm(dim=1).mean()
    apart = 0.5 * (s[:, None] - x).square().sum(2)
    wanted = -torch.logsumexp(-0.3 * apart, 1) / 0.3 + torch.log(torch.tensor(50.0)) / 0.3
    assert torch.allclose(net.continuous_energy(x, s, 0.3, by_distance=True), wanted)
    even = torch.nn.functional.normalize(x)
    one, other = (net.continuous_update(even, s, 2.0, by_distance=b) for b in (False, True))
    assert torch.allclose(one, other)


def test_one_update_errs_less_than_its_bound():
    """Patterns on a sphere, well apart; where the bound is small it is not empty."""
    x = 4 * torch.nn.functional.normalize(normal(20, UNITS))
    s = x + 0.2 * normal(20, UNITS, seed=1) / UNITS**0.5
    index, small = torch.arange(20), 0
    for beta in (1.0, 2.0, 4.0):
        fixed = x
        for _ in range(50):
            fixed = net.continuous_update(x, fixed, beta)
        error = (net.continuous_update(x, s, beta) - x).norm(dim=1)
        bound = net.retrieval_bound(x, s, index, fixed, beta)
        assert (error <= bound).all()
        small += int((bound < 0.1).sum())
    assert small > 20
    assert net.separation(x)[3] == pytest.approx(
        16 - max(float(x[3] @ x[j]) for j in range(20) if j != 3)
    )
