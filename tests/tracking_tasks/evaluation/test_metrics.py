import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tracking_tasks import evaluation

TRUTH = np.float32([[10, 20, 30, 40], [0.1, 0.7, 3.3, 2.2], [-5, -5, 20, 10]])
SIDE = st.floats(0.5, 100)
BOXES = hnp.arrays(
    np.float64,
    (5, 4),
    elements=SIDE,
)


def test_overlap_of_known_pairs():
    predicted = [[0, 0, 10, 10], [5, 0, 10, 10], [10, 0, 10, 10], [2, 2, 5, 5], [0, 0, 0, 10]]
    truth = [[0, 0, 10, 10]] * 5
    expected = [1, 50 / 150, 0, 25 / 100, 0]
    np.testing.assert_allclose(evaluation.overlap(predicted, truth), expected, rtol=1e-12)


def test_center_error_of_known_pairs():
    predicted = [[0, 0, 10, 10], [3, 4, 10, 10], [0, 0, 16, 26]]
    truth = [[0, 0, 10, 10]] * 3
    expected = [0, 5, np.hypot(3, 8)]
    np.testing.assert_allclose(evaluation.center_error(predicted, truth), expected, rtol=1e-12)


def test_the_truth_against_itself():
    assert evaluation.success_auc(TRUTH, TRUTH) == pytest.approx(20 / 21, abs=1e-15)
    assert evaluation.success_auc(TRUTH, TRUTH, thresholds=101) == pytest.approx(100 / 101)
    assert evaluation.precision(TRUTH, TRUTH, threshold=0) == 1
    assert evaluation.normalized_precision(TRUTH, TRUTH) == 1


@hypothesis.given(BOXES)
@hypothesis.settings(max_examples=200, deadline=None)
def test_equal_boxes_never_overlap_by_more_or_less_than_one(boxes):
    assert (evaluation.overlap(boxes, boxes) == 1).all()
    assert evaluation.success_auc(boxes, boxes) == pytest.approx(20 / 21, abs=1e-15)


def test_success_is_strictly_above_the_threshold():
    # Overlaps 1/2, 1/4, 0 and 1: none counts at the threshold that it equals.
    predicted = [[0, 0, 10, 5], [0, 0, 5, 5], [20, 20, 5, 5], [0, 0, 10, 10]]
    curve = evaluation.success_curve(predicted, [[0, 0, 10, 10]] * 4)
    expected = [3 / 4] * 5 + [2 / 4] * 5 + [1 / 4] * 10 + [0]
    np.testing.assert_array_equal(curve, expected)
    assert evaluation.success_auc(predicted, [[0, 0, 10, 10]] * 4) == pytest.approx(
        np.mean(expected)
    )


def test_precision_counts_the_threshold_itself():
    predicted = [[0, 0, 10, 10], [20, 0, 10, 10], [0, 20.001, 10, 10], [12, 16, 10, 10]]
    truth = [[0, 0, 10, 10]] * 4
    assert evaluation.precision(predicted, truth) == 3 / 4
    assert evaluation.precision(predicted, truth, threshold=19.9) == 1 / 4
    curve = evaluation.precision_curve(predicted, truth)
    assert curve.shape == (51,)
    np.testing.assert_array_equal(curve[[0, 19, 20, 21]], [1 / 4, 1 / 4, 3 / 4, 1])


def test_normalized_precision_divides_by_the_true_size():
    truth = [[0, 0, 10, 100]]
    # Off by 0.2 widths and 0.15 heights: 0.25, reached by the last 26 of 51 thresholds.
    assert evaluation.normalized_precision([[2, 15, 10, 100]], truth) == pytest.approx(26 / 51)
    assert evaluation.normalized_precision([[0, 60, 10, 100]], truth) == 0


def test_each_definition_of_normalized_precision():
    truth = np.tile([0.0, 0, 10, 100], (4, 1))
    # Errors 0, 0.2, 0.25 and 1, after rounding 0, 0.2, 0.3 and 1.
    predicted = truth + np.outer([0, 2, 2.5001, 10], [1, 0, 0, 0])
    precision = evaluation.normalized_precision
    assert precision(predicted, truth, "lasot") == 2 / 4
    area = precision(predicted, truth, "area")
    assert area == pytest.approx((51 + 31 + 25) / (51 * 4))
    # Trapezoids of width 1/20 with half a one at the ends: 0 from 0, 0.2 from threshold 8,
    # 0.3 from threshold 12.
    expected = (20 + 12.5 + 8.5) / 20 / 4
    assert precision(predicted, truth, "trackingnet") == pytest.approx(expected)
    with pytest.raises(ValueError, match="unknown definition 'otb'"):
        precision.__wrapped__(predicted, truth, "otb")


def test_trackingnet_misses_what_is_not_annotated():
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 0, 0]])
    assert evaluation.normalized_precision(boxes, boxes, "trackingnet") == pytest.approx(0.5)
    assert evaluation.normalized_precision(boxes, boxes, "lasot") == 1


def test_a_prediction_that_is_not_finite_is_a_miss():
    truth = np.tile([0, 0, 10, 10], (3, 1))
    predicted = [[np.nan, 0, 10, 10], [0, 0, np.inf, 10], [0, 0, 10, 10]]
    np.testing.assert_array_equal(evaluation.overlap(predicted, truth), [0, 0, 1])
    np.testing.assert_array_equal(evaluation.center_error(predicted, truth), [np.inf, np.inf, 0])
    assert evaluation.precision(predicted, truth) == pytest.approx(1 / 3)
    assert evaluation.normalized_precision(predicted, truth) == pytest.approx(1 / 3)


def test_frames_without_annotation_are_scored_as_in_otb():
    truth = [[0, 0, 10, 10], [-1, -1, 0, 0], [np.nan] * 4]
    predicted = [[0, 0, 10, 10], [5, 5, 10, 10], [500, 5, 10, 10]]
    np.testing.assert_array_equal(evaluation.overlap(predicted, truth), [1, 0, 0])
    np.testing.assert_array_equal(evaluation.center_error(predicted, truth), [0, -1, -1])
    assert evaluation.success_auc(predicted, truth) == pytest.approx(20 / 63)
    assert evaluation.precision(predicted, truth) == 1
    assert evaluation.normalized_precision(predicted, truth) == 1


METRICS = [
    evaluation.success_auc,
    evaluation.success_curve,
    evaluation.precision,
    evaluation.precision_curve,
    evaluation.normalized_precision,
]


@pytest.mark.parametrize("metric", [*METRICS, evaluation.overlap, evaluation.center_error])
@pytest.mark.parametrize(
    ("predicted", "truth"),
    [((3, 4), (2, 4)), ((3, 5), (3, 5)), ((4,), (4,)), ((3, 4), (4,)), ((1, 3, 4), (1, 3, 4))],
)
def test_shapes_that_do_not_match_are_refused(metric, predicted, truth):
    with pytest.raises(ValueError, match="must be arrays of shape") as caught:
        metric(np.ones(predicted), np.ones(truth))
    assert f"{predicted} and {truth}" in str(caught.value)


@pytest.mark.parametrize("metric", METRICS)
def test_no_frames_cannot_be_scored(metric):
    with pytest.raises(ValueError, match="no frames"):
        metric(np.ones((0, 4)), np.ones((0, 4)))


def test_no_frames_have_no_overlaps():
    assert evaluation.overlap(np.ones((0, 4)), np.ones((0, 4))).shape == (0,)


@hypothesis.given(BOXES, BOXES)
@hypothesis.settings(max_examples=100, deadline=None)
def test_agrees_with_got10k(predicted, truth):
    pytest.importorskip("got10k")
    pytest.importorskip("shapely")
    from got10k.utils import metrics

    theirs = metrics.rect_iou(predicted.copy(), truth.copy())
    np.testing.assert_allclose(evaluation.overlap(predicted, truth), theirs, atol=1e-9)
    np.testing.assert_allclose(
        evaluation.center_error(predicted, truth),
        metrics.center_error(predicted, truth),
        atol=1e-9,
    )
