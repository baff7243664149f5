"""Correlation within batches: what it leaves out, and that its null is that of shuffled batches."""

import numpy as np
import pytest

from neuro_aws.metrics.correlation import (
    Correlation,
    by_batch,
    correlation,
    within_batches,
    without_groups,
)

BATCHES, BATCH = 40, 16


def batches(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((BATCHES, BATCH))


def test_r_of_each_batch_is_pearson_s():
    x, y = batches(0), batches(1)
    wanted = [np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)]
    assert by_batch(x, y) == pytest.approx(wanted)
    assert within_batches(x, y).r == pytest.approx(np.mean(wanted))


def test_what_batches_have_in_common_does_not_count():
    x, y = batches(0), batches(1)
    drift = 100 * np.linspace(0, 1, BATCHES)[:, None]
    drifting, still = within_batches(x + drift, y + drift), within_batches(x, y)
    assert drifting.r == pytest.approx(still.r)
    assert not still.beyond
    assert np.corrcoef((x + drift).ravel(), (y + drift).ravel())[0, 1] > 0.99


def test_the_null_is_that_of_shuffled_batches():
    x, y = batches(0), batches(1)
    found = within_batches(x, y)
    rng = np.random.default_rng(2)
    shuffled = [within_batches(rng.permuted(x, axis=1), y).r for _ in range(1500)]
    low, high = np.quantile(shuffled, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.15)
    assert within_batches(x, x + y).beyond
    assert within_batches(x, -x).r == pytest.approx(-1)


def test_batches_that_do_not_vary_are_left_out():
    x, y = batches(0), batches(1)
    y[:10] = 0.3
    found = within_batches(x, y)
    assert found.r == pytest.approx(within_batches(x[10:], y[10:]).r)
    assert found.n == 30 * BATCH
    nothing = within_batches(x, np.zeros_like(x))
    assert np.isnan(nothing.r)
    assert nothing.n == 0
    assert not nothing.beyond


def test_what_is_due_to_a_label_alone_is_taken_out():
    labels = np.random.default_rng(3).integers(0, 4, (BATCHES, BATCH))
    x, y = batches(0) + 5 * labels, batches(1) + 5 * labels
    assert within_batches(x, y).r > 0.9
    inner = within_batches(without_groups(x, labels), without_groups(y, labels))
    assert abs(inner.r) < 0.1
    means = [without_groups(x, labels)[labels == k].mean() for k in range(4)]
    assert means == pytest.approx([0] * 4, abs=1e-12)


def test_a_correlation_says_why_there_is_none():
    few, flat = np.arange(5.0), np.ones(50)
    assert str(correlation(few, few)) == "too few"
    assert str(correlation(flat, np.arange(50.0))) == "does not vary"
    assert str(Correlation(0.5, -0.1, 0.2, 99)) == "r = +0.50 (null -0.10 to +0.20)"
    assert Correlation(0.5, -0.1, 0.2, 99).beyond
