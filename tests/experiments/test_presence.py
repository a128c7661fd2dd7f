import numpy as np
import pytest

from experiments import presence

HAS = np.array([True, True, True, False, False, False, False, False])
SCORES = np.array([0.9, 0.8, 0.4, 0.5, 0.45, 0.1, np.nan, 0.95])
WITHOUT = np.array([False, False, False, True, True, True, True, False])


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    # Of 12 pairs of a frame with and one without the target, (0.4, 0.5) and (0.4, 0.45) are not.
    assert presence.area(SCORES, HAS, WITHOUT) == pytest.approx(10 / 12)


def test_the_curve_is_by_threshold():
    false, true, thresholds = presence.curve(SCORES, HAS, WITHOUT)
    at = dict(zip(thresholds.tolist(), zip(false, true, strict=True), strict=True))
    assert at[0.8] == pytest.approx((0, 2 / 3))
    assert at[0.4] == pytest.approx((1 / 2, 1))


def test_the_best_threshold_lies_between_the_scores_on_its_sides():
    # At 0.8 two of three are taken and none of four: better than all of three and two of four.
    assert presence.best_threshold(SCORES, HAS, WITHOUT) == pytest.approx(0.65)
