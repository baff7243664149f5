"""Tiles: their sides, how many are hidden, and what is left of a picture."""

import pytest
import torch

from neuro_aws.functional.noise import Draws
from neuro_aws.functional.occlusion import Picture, hidden_by_tiles, occluded


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.float64)


def test_tiles_of_one_side_are_hidden_as_a_whole_and_as_often_as_the_rate_says():
    hidden = hidden_by_tiles(draws(), 4000, Picture(8, 12), 4, smallest=4, rate=0.3)
    assert hidden.shape == (4000, 8, 12)
    tiles = hidden.view(4000, 2, 4, 3, 4).permute(0, 1, 3, 2, 4).flatten(3)
    assert bool((tiles.all(-1) == tiles.any(-1)).all())
    each = tiles.all(-1).double()
    assert each.mean((0, 1, 2)) == pytest.approx(0.3, abs=0.01)
    one, other = each[:, 0, 0] - 0.3, each[:, 1, 2] - 0.3
    assert (one * other).mean() == pytest.approx(0.0, abs=0.02)  # tiles are hidden on their own


def test_sides_are_drawn_from_all_that_are_allowed_and_rates_from_0_to_1():
    hidden = hidden_by_tiles(draws(1), 6000, Picture(6, 6), 3)
    share = hidden.double().mean((1, 2))
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert share.var() > 1 / 12  # that of rates alone; tiles add to it
    same = (hidden[:, :, 1:] == hidden[:, :, :-1]).double().mean((0, 1))
    # next to each other in one tile: of side 3 at 0-1, 1-2, 3-4, 4-5; of side 2 at 0-1, 2-3, 4-5
    across = 1 - 2 * (1 / 2 - 1 / 3)  # two tiles of one rate r: r^2 + (1 - r)^2, mean over r
    together = torch.tensor([2, 1, 1, 1, 2]) / 3
    wanted = together + (1 - together) * across
    assert torch.allclose(same, wanted.double(), atol=0.015)


def test_hidden_pixels_are_grey_in_all_channels_of_rows_and_of_maps():
    picture = Picture(4, 5, 3)
    rows = torch.randn(7, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    hidden = hidden_by_tiles(draws(), 7, picture, 2)
    found = occluded(rows, hidden, picture, -0.5).view(7, 4, 5, 3)
    pixels = rows.view(7, 4, 5, 3)
    assert bool((found[hidden] == -0.5).all())
    assert torch.equal(found[~hidden], pixels[~hidden])
    maps = occluded(pixels.permute(0, 3, 1, 2), hidden, picture, -0.5)
    assert torch.equal(maps.permute(0, 2, 3, 1), found)
