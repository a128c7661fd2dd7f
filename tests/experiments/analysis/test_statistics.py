"""Intervals of means, by Student's t and by the bootstrap."""

import math

import numpy as np
import pytest
from scipy import stats

from experiments.analysis import statistics


def test_the_interval_over_seeds_is_students():
    # Quantile of three degrees of freedom 3.182446, standard error sqrt(5 / 3) / 2.
    mean, half_width = statistics.mean_and_interval([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    assert half_width == pytest.approx(3.182446 * math.sqrt(5 / 3) / 2)
    assert statistics.summarize([0.5]) == {"mean": 0.5, "interval": None}


def test_the_bootstrap_of_one_seed_is_that_of_a_mean():
    values = np.random.default_rng(1).normal(0.6, 0.1, (1, 40))
    found = statistics.bootstrap(values)
    reference = stats.bootstrap((values[0],), np.mean, method="percentile", rng=2)
    assert found.mean == pytest.approx(values.mean())
    np.testing.assert_allclose(found[1:], reference.confidence_interval, atol=2e-3)


def test_the_bootstrap_covers_seeds_as_well():
    between = np.tile(np.array([[0.4], [0.5], [0.6]]), (1, 20))  # no difference by sequence
    found = statistics.bootstrap(between)
    # The mean of three draws: its extremes, 0.4 and 0.6, have a probability of 1/27 each.
    assert (found.low, found.high) == pytest.approx((0.4, 0.6))
    assert statistics.bootstrap(np.full((3, 5), 0.5)) == pytest.approx((0.5, 0.5, 0.5))
