"""Random numbers drawn by kernels against those that torch draws from the same state."""

import numpy as np
import pytest
import torch

from neuro_aws.functional import twister
from neuro_aws.functional.fused import compiled
from neuro_aws.functional.noise import Draws, KeyedNoise

SHAPES = [(2, 3), (16,), (33,), (7, 5, 2, 3), (5, 32, 8, 8), (3, 5), (1249,)]


def drawn(by_kernels: bool) -> list[torch.Tensor]:
    """Draw all shapes one after the other, normal and uniform, then the generator's state."""
    draws = KeyedNoise(0, "noise", torch.float32).at(3)
    with compiled(by_kernels):
        found = [f(torch.Size(s)) for s in SHAPES for f in (draws.normal, draws.uniform)]
    return [*found, draws.generator.get_state()]


def test_kernels_draw_what_torch_draws_and_leave_its_generator_so():
    pytest.importorskip("numba")
    found, again, wanted = drawn(True), drawn(True), drawn(False)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    for a, b in zip(found[:-1:2], wanted[:-1:2], strict=True):
        assert float((a - b).abs().max()) < 4e-6  # of numbers up to 5.8, each from one of 2^24
        assert float((a - b).norm()) < 5e-7 * float(b.norm())
        assert a.stride() == b.stride()
    assert all(torch.equal(a, b) for a, b in zip(found[1::2], wanted[1::2], strict=True))
    assert torch.equal(found[-1], wanted[-1])


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**62 + 12345])
def test_a_seed_gives_what_torch_draws_of_it(seed):
    """Piece by piece: 16 does not divide all of them."""
    pytest.importorskip("numba")
    sizes = [640, 33, 16, 1249]
    draw = twister.of_seed(torch.float32, sizes)
    normals, uniforms = torch.zeros(sum(sizes)), torch.zeros(5)
    draw(seed, np.array(sizes), normals.numpy(), uniforms.numpy(), 1e-8)
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.cat([torch.randn(n, generator=generator) for n in sizes])
    assert float((normals - wanted).abs().max()) < 4e-6
    assert torch.equal(uniforms, torch.rand(5, generator=generator).clamp_(min=1e-8))


@pytest.mark.parametrize(("dtype", "sizes"), [(torch.float64, [64]), (torch.float32, [64, 8])])
def test_what_torch_draws_otherwise_is_left_to_it(dtype, sizes):
    assert twister.of_seed(dtype, sizes) is None


def test_a_generator_is_seeded_when_it_is_first_drawn_from():
    keyed = KeyedNoise(2, "noise", torch.float32)
    first = keyed.at(5).normal(torch.Size((20,)))
    keyed.at(6).uniform(torch.Size((3,)))
    again = keyed.at(5)
    assert again.seed is not None
    assert torch.equal(again.normal(torch.Size((20,))), first)
    assert again.seed is None


def test_a_million_normal_numbers_are_torchs_and_finite():
    pytest.importorskip("numba")
    generator = torch.Generator().manual_seed(1)
    state = generator.get_state()
    with compiled():
        found = Draws(generator, torch.float32).normal(torch.Size((2**20,)))
    wanted = torch.randn(2**20, generator=generator.set_state(state))
    assert bool(found.isfinite().all())
    assert float((found - wanted).abs().max()) < 4e-6


def test_the_ends_of_the_range_of_uniform_numbers():
    """Words whose lower 24 bits are 0, all set, or near the borders of quarters and octaves."""
    numba = pytest.importorskip("numba")
    from neuro_aws.functional.compiled import draws

    @numba.njit
    def to_normal(words, radii, cosines, sines, out):
        draws._to_normal(words, radii, cosines, sines, out)

    ends = [0, 1, 2, 2**24 - 1, 2**24 - 2, *(2**k + d for k in range(1, 24) for d in (-1, 0, 1))]
    radii = np.repeat(ends, len(ends)).astype("uint32")
    angles = np.tile(ends, len(ends)).astype("uint32")
    u, v = 1 - radii / 2**24, angles / 2**24
    wanted = np.sqrt(-2 * np.log(u)) * np.array([np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)])
    words = np.zeros((2, 8, -(-radii.size // 8)), "uint32")
    for half, given in zip(words, (radii, angles), strict=True):
        half.reshape(-1)[: radii.size] = given
    blocks = words.reshape(2, -1, 8).swapaxes(0, 1).reshape(-1).copy()
    found, room = np.empty(blocks.size, "float32"), np.zeros((3, blocks.size + 8), "float32")
    to_normal(blocks, *room, found)
    pairs = found.reshape(-1, 2, 8).swapaxes(0, 1).reshape(2, -1)[:, : radii.size]
    assert np.abs(pairs - wanted).max() < 2e-6


def test_torch_draws_where_its_state_is_not_known(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(twister, "_known", lambda: False)
    assert all(torch.equal(a, b) for a, b in zip(drawn(True), drawn(False), strict=True))
