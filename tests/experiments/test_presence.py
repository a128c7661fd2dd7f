import numpy as np
import pytest

from experiments import presence
from tracking_tasks import evaluation
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.trackers.base import TrackerConfig

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


def test_scores_count_beside_the_usual_one_where_the_tracker_says_so():
    confidences = np.float32([1.0, 0.64, 0.2, 1.0])
    plain = presence.measured(confidences, TrackerConfig())
    np.testing.assert_array_equal(plain, confidences[1:])
    relative = presence.measured(confidences, TrackerConfig(present_share=0.7))
    np.testing.assert_allclose(relative, [0.8, 0.25, 1.25], rtol=1e-6)


def test_the_report_says_what_the_threshold_in_use_mistakes():
    absent = np.array([False, False, False, False, True, True])
    boxes = np.tile(np.float32([0, 0, 10, 10]), (6, 1))
    video = Sequence("a", (), boxes, absent=absent)
    result = evaluation.SequenceResult("a", boxes, boxes, np.ones(5), np.ones(6, np.float32))
    text = presence.report([result], [video], np.array([0.9, 0.8, 0.3, 0.5, 0.1]), 0.5)
    assert "3 frames with the target, 2 without, 0 lost" in text
    assert "area 0.833" in text
    assert "in use 0.5: 33.3% missed, 50.0% taken for the target" in text


def test_a_target_is_found_again_if_it_is_held_in_the_end():
    def result(last):
        boxes = np.float32([[0, 0, 10, 10], last])
        truth = np.float32([[0, 0, 10, 10], [40, 40, 10, 10]])
        return evaluation.SequenceResult("a", boxes, truth, np.ones(1), np.ones(2, np.float32))

    held = [result(last) for last in ([41, 40, 10, 10], [0, 0, 10, 10], [40, 45, 10, 10])]
    assert presence.found_again(held) == 1
