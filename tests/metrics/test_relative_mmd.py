"""The three-sample test against closed forms, its own spread over draws, and its level and power."""

import math

import numpy as np
import pytest
import torch

from neuro_aws.metrics.relative_mmd import kernel, median_distance, mmd, relative


def gaussian(generator: torch.Generator, n: int, mean: float = 0.0, spread: float = 1.0):
    return mean + spread * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def exact(mean: float, width: float) -> float:
    """Return MMD^2 of N(0, I) and N((mean, mean), I), two dimensions, a Gaussian kernel."""
    scale = width**2 / (width**2 + 2)
    return 2 * scale * (1 - math.exp(-2 * mean**2 / (2 * (width**2 + 2))))


def test_the_discrepancy_is_that_of_the_closed_form_and_unbiased():
    found = {0.0: [], 0.5: []}
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        x = gaussian(generator, 100)
        for mean, values in found.items():
            values.append(mmd(x, gaussian(generator, 100, mean), 1.3))
    for mean, values in found.items():
        error = np.std(values) / math.sqrt(len(values))
        assert abs(np.mean(values) - exact(mean, 1.3)) < 3 * error
        assert error < 0.003


def test_the_kernel_and_its_width():
    x = torch.tensor([[0.0], [1.0], [3.0]]).double()
    assert median_distance(x) == 2.0
    assert torch.allclose(
        kernel(x[:1], x[1:], 2.0), torch.exp(torch.tensor([[-1 / 8, -9 / 8]])).double()
    )


def judged(generator: torch.Generator, first: float, second: float, n: int = 100):
    x, y, z = (gaussian(generator, n, mean) for mean in (0.0, first, second))
    return relative(x, y, z, 1.5)


def test_the_variance_is_that_over_draws_and_the_level_holds():
    """Both samples are as far from the reference, on opposite sides."""
    generator = torch.Generator().manual_seed(1)
    runs = [judged(generator, 0.6, -0.6) for _ in range(300)]
    assert np.std([run.z for run in runs]) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean([run.z for run in runs])) < 0.2
    assert 0.015 < np.mean([run.p < 0.05 for run in runs]) < 0.1


def test_the_farther_sample_is_found_and_order_turns_the_sign():
    generator = torch.Generator().manual_seed(2)
    runs = [judged(generator, 0.9, 0.2) for _ in range(50)]
    assert np.mean([run.p < 0.05 for run in runs]) > 0.9
    x, y, z = (gaussian(generator, 50, mean) for mean in (0.0, 0.7, 0.2))
    one, other = relative(x, y, z, 1.5), relative(x, z, y, 1.5)
    assert one.z == pytest.approx(-other.z)
    assert one.p == pytest.approx(1 - other.p)
    assert one.first == pytest.approx(mmd(x, y, 1.5))
    with pytest.raises(ValueError, match="as many of each"):
        relative(x, y[:10], z, 1.5)
