"""Power by resampling, against the noncentral t distribution."""

import numpy as np
import pytest
from scipy import stats

from neuro_aws.metrics.separation import ALPHA, COUNTS, enough, power, separation


def exact(difference: float, deviation: float, n: int) -> float:
    limit, off = stats.t.ppf(1 - ALPHA / 2, n - 1), difference * np.sqrt(n) / deviation
    return stats.nct.sf(limit, n - 1, off) + stats.nct.cdf(-limit, n - 1, off)


@pytest.mark.parametrize(("difference", "noise"), [(0.2, 0.2), (-0.3, 0.4), (0.0, 0.1)])
@pytest.mark.parametrize("n", [4, 9, 20])
def test_animals_that_do_not_vary_have_the_power_of_a_t_test(difference, noise, n):
    draws = np.random.default_rng([7, n])
    found = power(np.full(5, 1 + difference), 1.0, noise, n, draws, repeats=20_000)
    error = np.sqrt(0.25 / 20_000)
    assert found == pytest.approx(exact(difference, noise, n), abs=4 * error)


def test_spread_between_simulated_animals_counts_as_noise_does():
    effects = np.random.default_rng(0).normal(0.3, 0.2, 5000)
    found = power(effects, 0.0, 0.15, 8, np.random.default_rng(1), repeats=20_000)
    assert found == pytest.approx(
        exact(effects.mean(), np.hypot(effects.std(), 0.15), 8), abs=0.015
    )


def test_what_is_known_without_any_spread_is_certain():
    draws = np.random.default_rng(0)
    assert power([0.1, 0.1], 0.0, 0.0, 4, draws) == 1
    assert power([0.1, 0.1], 0.1, 0.0, 4, draws) == 0


def test_separation_is_that_of_the_theory_that_is_harder_to_refuse():
    narrow, wide = np.full(6, 0.0), np.array([-0.8, 1.6, -0.4, 1.2, 0.1, 0.7])
    found = separation(narrow, wide, 0.1, np.random.default_rng(0))
    other = separation(wide, narrow, 0.1, np.random.default_rng(0))
    assert found.powers[8] < 0.7 < power(narrow, wide.mean(), 0.1, 8, np.random.default_rng(0))
    assert found.powers[8] == pytest.approx(other.powers[8], abs=0.05)
    assert found.difference == -other.difference == pytest.approx(-0.4)
    variance = 0.1**2 + (narrow.var(ddof=1) + wide.var(ddof=1)) / 2
    assert found.distance == pytest.approx(0.4 / np.sqrt(variance))
    assert tuple(found.powers) == COUNTS == tuple(range(4, 21))


def test_enough_is_the_fewest_from_which_on_power_stays():
    assert enough({4: 0.5, 5: 0.81, 6: 0.79, 7: 0.8, 8: 0.9}) == 7
    assert enough({4: 0.9, 5: 0.95}) == 4
    assert enough({4: 0.9, 5: 0.5}) is None
