"""Paired tests against scipy's, and against differences whose parts are known."""

import math

import numpy as np
import pytest
from scipy import stats

from experiments.analysis.paired_tests import Estimate, over, over_seeds_and_targets


def test_independent_differences_are_those_of_scipy():
    values = [0.3, -0.1, 0.5, 0.2]
    expected = stats.ttest_1samp(values, 0.0)
    found = over(values)
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert found.half_width == pytest.approx((interval.high - interval.low) / 2)


def test_one_value_and_no_number_say_nothing_and_a_difference_without_error_is_sure():
    assert (over([0.4]).half_width, over([0.4]).p) == (math.inf, 1.0)
    assert over([0.4, math.nan]).p == 1.0
    assert (over([0.5, 0.5]).p, over([0.0, 0.0]).p) == (0.0, 1.0)


def test_the_errors_of_seeds_and_targets_add_up():
    by_seed, by_target = np.array([[-1.0], [0.0], [1.0]]), np.array([[2.0, 4.0, 6.0, 8.0]])
    found = over_seeds_and_targets(by_seed + by_target, trained=True)
    of_seeds, of_targets = 1 / 3, (20 / 3) / 4
    assert found.mean == 5
    assert found.error == pytest.approx(math.sqrt(of_seeds + of_targets))
    freedom = (of_seeds + of_targets) ** 2 / (of_seeds**2 / 2 + of_targets**2 / 3)
    assert found.freedom == pytest.approx(freedom)


def test_seeds_that_agree_leave_the_test_over_targets():
    differences = np.tile([0.1, 0.4, 0.3], (5, 1))
    found = over_seeds_and_targets(differences, trained=True)
    assert found.p == pytest.approx(stats.ttest_1samp([0.1, 0.4, 0.3], 0.0).pvalue)


@pytest.mark.parametrize("trained", [True, False])
def test_one_seed_says_something_of_a_tracker_that_it_did_not_train(trained):
    found = over_seeds_and_targets(np.array([[0.1, 0.4, 0.3]]), trained)
    expected = 1.0 if trained else stats.ttest_1samp([0.1, 0.4, 0.3], 0.0).pvalue
    assert found.p == pytest.approx(expected)


def test_p_of_a_known_estimate():
    assert Estimate(2.0, 1.0, 1.0).p == pytest.approx(1 - 2 * math.atan(2.0) / math.pi)  # Cauchy
