"""The one-pass protocols: closed forms, and the benchmarks' own recipes written frame by frame."""

import math
import types

import numpy as np
import pytest

from basics.errors import InputError
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import got10k, lasot, trackingnet
from tracking_tasks.evaluation.protocols import PROTOCOLS

IMAGE = np.zeros((60, 80, 3), np.uint8)


def make(name, predicted, truth, **flags):
    truth, predicted = np.asarray(truth, np.float32), np.asarray(predicted, np.float32)
    sequence = Sequence(name, (IMAGE,) * len(truth), truth, **flags)
    return types.SimpleNamespace(name=name, boxes=predicted, truth=truth), sequence


def report(protocol, *pairs):
    results, sequences = zip(*pairs, strict=True)
    return PROTOCOLS[protocol](list(results), list(sequences))


def random_pair(seed, frames=40):
    """Random boxes with everything that toolkits treat specially."""
    random = np.random.default_rng(seed)
    truth = np.concatenate(
        [random.integers(-3, 50, (frames, 2)), random.integers(1, 40, (frames, 2))], axis=1
    ).astype(np.float32)
    noise = random.normal(0, 4, (frames, 4)).round(2).astype(np.float32)
    predicted = truth + noise
    predicted[:, 2:] = predicted[:, 2:].clip(0.5)
    predicted[[5, 6]] = np.nan
    predicted[9, 2:] = 0
    predicted[12] = [200, 200, 10, 10]
    truth[[15, 16], :] = [0, 0, 0, 0]
    return predicted, truth


def iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def distance(a, b, scale=(1, 1)):
    x = (a[0] + (a[2] - 1) / 2 - b[0] - (b[2] - 1) / 2) / scale[0]
    y = (a[1] + (a[3] - 1) / 2 - b[1] - (b[3] - 1) / 2) / scale[1]
    return math.hypot(x, y)


def matlab(predicted, truth, absent):
    """The overlaps and errors of LaSOT's calc_seq_err_robust.m, x and y from 1; OTB's too."""
    boxes, truth = np.array(predicted, float), np.array(truth, float)
    boxes[:, :2] += 1
    truth[:, :2] += 1
    for i in range(1, len(boxes)):
        if np.isnan(boxes[i]).any() or boxes[i, 2] <= 0 or boxes[i, 3] <= 0:
            boxes[i] = boxes[i - 1]
    boxes[0] = truth[0]
    overlaps, errors, normalized = [], [], []
    for box, target, gone in zip(boxes, truth, absent, strict=True):
        if gone:
            continue
        annotated = (target > 0).all()
        overlaps.append(iou(box, target) if annotated else -1)
        errors.append(distance(box, target) if annotated else -1)
        normalized.append(distance(box, target, target[2:]) if annotated else -1)
    return np.array(overlaps), np.array(errors), np.array(normalized)


@pytest.mark.parametrize("seed", range(5))
def test_otb_is_what_its_matlab_code_computes(seed):
    predicted, truth = random_pair(seed)
    overlaps, errors, _ = matlab(predicted, truth, np.zeros(40, bool))
    scores = report("otb", make("a", predicted, truth))["scores"]
    thresholds = [0.05 * k for k in range(21)]
    assert scores["auc"] == pytest.approx(np.mean([np.mean(overlaps > t) for t in thresholds]))
    assert scores["precision20"] == pytest.approx(np.mean(errors <= 20))
    assert scores["success50"] == pytest.approx(np.mean(overlaps > 0.5))


def test_otb_means_over_sequences_and_attributes():
    truth = np.tile([10, 10, 20, 20], (4, 1))
    lost = truth + np.outer([0, 50, 50, 50], [1, 0, 0, 0])
    found = report(
        "otb",
        make("good", truth, truth, attributes=("OCC", "SV")),
        make("bad", lost, truth, attributes=("OCC",)),
    )
    assert found["sequences"]["good"]["auc"] == pytest.approx(20 / 21)
    assert found["sequences"]["bad"]["auc"] == pytest.approx(5 / 21)
    assert found["scores"]["auc"] == pytest.approx(12.5 / 21)
    assert found["attributes"]["OCC"] == pytest.approx(
        {"sequences": 2, "auc": 12.5 / 21, "precision20": 5 / 8, "success50": 5 / 8}
    )
    assert found["attributes"]["SV"]["sequences"] == 1
    assert found["attributes"]["SV"]["auc"] == pytest.approx(20 / 21)


def test_uav123_gives_the_numbers_of_both_camps():
    truth = np.float32([[10, 10, 20, 20], [np.nan] * 4, [-5, 10, 20, 20], [10, 10, 20, 20]])
    predicted = np.float32([[0, 0, 1, 1], [10, 10, 20, 20], [-5, 10, 20, 20], [60, 10, 20, 20]])
    scores = report("uav123", make("a", predicted, truth))["scores"]
    assert scores["auc"] == pytest.approx(2 / 4 * 20 / 21)
    assert scores["precision20"] == 3 / 4  # NaN counts as a hit
    assert scores["auc_annotated"] == pytest.approx(2 / 3 * 20 / 21)
    assert scores["precision20_annotated"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_lasot_is_what_its_matlab_code_computes(seed):
    predicted, truth = random_pair(seed)
    absent = np.random.default_rng(seed).random(40) < 0.3
    overlaps, errors, normalized = matlab(predicted, truth, absent)
    scores = report("lasot", make("a", predicted, truth, absent=absent))["scores"]
    thresholds = [0.05 * k for k in range(21)]
    expected = {
        "auc": np.mean([np.sum(overlaps > t) / 40 for t in thresholds]),
        "precision20": np.sum(errors <= 20) / 40,
        "normalized_precision": np.sum(normalized <= 0.2) / 40,
        "normalized_precision_area": np.mean(
            [np.sum(normalized <= k / 100) / 40 for k in range(51)]
        ),
    }
    assert scores == pytest.approx(expected, abs=1e-6)


def test_lasot_without_a_present_target_scores_nothing():
    truth = np.tile([10.0, 10, 20, 20], (3, 1))
    assert set(lasot.scores(truth, truth, np.ones(3, bool)).values()) == {0}
    half = lasot.scores(np.tile(truth, (2, 1)), np.tile(truth, (2, 1)), np.arange(6) < 3)
    assert half["precision20"] == 1 / 2


@pytest.mark.parametrize("seed", range(5))
def test_trackingnet_is_what_its_devkit_computes(seed):
    predicted, truth = random_pair(seed)
    counts = np.zeros((3, 21))
    rounded = np.round(np.stack([predicted, truth], axis=1).astype(float))
    for i, (box, target) in enumerate(rounded):
        box = target if i == 0 else box
        if np.isnan(box).any():
            continue
        size = target[2:]
        overlap = iou(box, target) if size.all() else 0.0
        normalized = distance(box, target, size) if size.all() else np.inf
        for k in range(21):
            counts[0, k] += overlap > np.linspace(0, 1, 21)[k]
            counts[1, k] += distance(box, target) <= np.linspace(0, 50, 21)[k]
            counts[2, k] += normalized <= np.linspace(0, 0.5, 21)[k]
    areas = 100 * np.trapezoid(counts / 40, x=np.linspace(0, 1, 21), axis=1)
    expected = dict(zip(("success", "precision", "normalized_precision"), areas, strict=True))
    assert report("trackingnet", make("a", predicted, truth))["scores"] == pytest.approx(
        expected, abs=1e-6
    )


def test_trackingnet_of_the_truth():
    truth = np.array([[10.5, 10, 20, 20], [11, 12, 20, 20]])
    perfect = {"success": 97.5, "precision": 100, "normalized_precision": 100}
    assert trackingnet.scores(truth, truth) == pytest.approx(perfect)


def test_got10k_pools_the_frames_that_count():
    truth = np.tile([10, 10, 20, 20], (5, 1))
    halves = truth * [1, 1, 1, 0.5]
    visible = np.float32([1, 1, 0, 0.5, 1])
    found = report(
        "got10k",
        make("good", truth[:3], truth[:3]),
        make("half", halves, truth, visible=visible),
        make("hidden", halves[:2], truth[:2], visible=np.float32([1, 0])),
    )
    # Two frames of overlap 1, three of exactly 1/2, which is not above it.
    assert found["scores"] == pytest.approx({"ao": 3.5 / 5, "sr50": 2 / 5, "sr75": 2 / 5})
    assert found["sequences"]["half"] == {"ao": 0.5, "sr50": 0, "sr75": 0}
    assert found["sequences"].keys() == {"good", "half"}


def test_got10k_pools_repetitions():
    truth = np.tile([10, 10, 20, 20], (3, 1))
    first, sequence = make("a", truth, truth)
    second, _ = make("a", truth + np.array([60, 0, 0, 0]), truth)
    assert PROTOCOLS["got10k"]([first, second], [sequence])["sequences"]["a"]["ao"] == 0.5


def test_got10k_shifts_boxes_into_the_image():
    boxes = [[-10, 5, 20, 20], [70, 50, 20, 20], [100, 0, 5, 5]]
    expected = [[0, 5, 20, 20], [70, 50, 10, 10], [80, 0, 0, 5]]
    np.testing.assert_array_equal(got10k.clipped(np.array(boxes), (80, 60)), expected)


@pytest.mark.parametrize("seed", range(5))
def test_got10k_agrees_with_its_toolkit(seed):
    metrics = pytest.importorskip("got10k.utils.metrics")
    predicted, truth = random_pair(seed)
    predicted = np.nan_to_num(predicted)
    predicted[3:20] -= 30  # partly and wholly outside the image
    visible = np.random.default_rng(seed).random(40) < 0.7
    bound = (80, 60)
    theirs = metrics.rect_iou(predicted[1:].astype(float), truth[1:].astype(float), bound=bound)[
        visible[1:]
    ]
    ours = got10k.overlaps(predicted, truth, bound, visible)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_otb_and_uav123_agree_with_got10k_where_it_has_no_rule_of_its_own(seed):
    experiments = pytest.importorskip("got10k.experiments")
    predicted, truth = random_pair(seed)
    predicted, truth = np.nan_to_num(predicted), np.maximum(truth, 1)
    predicted[:, 2:] = predicted[:, 2:].clip(1)
    predicted[0] = truth[0]
    toolkit = experiments.ExperimentUAV123.__new__(experiments.ExperimentUAV123)
    toolkit.nbins_iou, toolkit.nbins_ce = 21, 51
    for protocol, suffix, unknown in (("otb", "", []), ("uav123", "_annotated", [7, 30])):
        truth[unknown] = np.nan
        measured = toolkit._calc_metrics(predicted.astype(float), truth.astype(float))
        success, precision = toolkit._calc_curves(*measured)
        scores = report(protocol, make("a", predicted, truth))["scores"]
        assert scores["auc" + suffix] == pytest.approx(success.mean(), abs=1e-6)
        assert scores["precision20" + suffix] == pytest.approx(precision[20], abs=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_withheld_truth_cannot_be_scored(protocol):
    truth = np.zeros((3, 4))
    truth[0] = [10, 10, 20, 20]
    with pytest.raises(InputError, match="write a submission"):
        report(protocol, make("a", truth, truth))


def test_results_of_another_data_set_are_refused():
    pair = make("a", np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(InputError, match="a is no sequence"):
        PROTOCOLS["otb"]([pair[0]], [])
