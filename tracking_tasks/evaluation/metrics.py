"""Scores of predicted boxes against true ones, as the Object Tracking Benchmark (OTB) defines them.

Boxes are (N, 4) arrays of x, y, width, height in pixels, one row a frame, in any one convention:
neither a common origin nor inclusive against continuous coordinates changes a score. All arithmetic
is float64.

Special rows:
    A truth row that is not finite or lacks positive width and height marks a frame that is not
    annotated. As in OTB it overlaps nothing, and its centre error is -1, below every threshold.
    (pytracking counts such a frame as a miss in precision, got10k scores it like any other, LaSOT
    leaves it out. OTB's own code also takes a box whose x or y is not positive for one.)

    A predicted row that is not finite is a miss: it overlaps nothing, and its centre error is
    infinite. (OTB repeats the box before it.)

References:
    Wu, Lim, Yang, "Object Tracking Benchmark", TPAMI 2015, section 4.
    Müller et al., "TrackingNet", ECCV 2018, section 4 (normalized precision).
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

SUCCESS_THRESHOLDS = 21
PRECISION_THRESHOLD = 20.0  # pixels
PRECISION_LIMIT = 50  # pixels, where OTB's precision plots end

Boxes = Float[np.ndarray, "frames 4"]
PerFrame = Float[np.ndarray, "frames"]
Curve = Float[np.ndarray, "thresholds"]


def overlap(predicted: ArrayLike, truth: ArrayLike) -> PerFrame:
    """Returns the intersection over union of each pair of boxes, (N,) in [0, 1].

    Raises:
        ValueError: The two are not arrays of shape (N, 4) with the same N.
    """
    predicted, truth, annotated = _pair(predicted, truth)
    predicted_end = predicted[:, :2] + predicted[:, 2:]
    truth_end = truth[:, :2] + truth[:, 2:]
    sides = np.minimum(predicted_end, truth_end) - np.maximum(predicted[:, :2], truth[:, :2])
    intersection = sides.clip(0).prod(axis=1)
    # Areas from the same differences as the intersection: equal boxes overlap by exactly 1.
    areas = sum(
        (end - boxes[:, :2]).clip(0).prod(axis=1)
        for boxes, end in ((predicted, predicted_end), (truth, truth_end))
    )
    union = areas - intersection
    defined = annotated & (union > 0)  # False where a box is not finite
    return np.divide(intersection, union, out=np.zeros(len(truth)), where=defined).clip(0, 1)


def center_error(predicted: ArrayLike, truth: ArrayLike) -> PerFrame:
    """Returns the distance between the centres of each pair of boxes, (N,) in pixels.

    Raises:
        ValueError: The two are not arrays of shape (N, 4) with the same N.
    """
    return _center_distance(predicted, truth, normalized=False)


def success_curve(
    predicted: ArrayLike, truth: ArrayLike, thresholds: int = SUCCESS_THRESHOLDS
) -> Curve:
    """Returns the share of frames whose overlap is strictly above each threshold in [0, 1].

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        thresholds: How many, evenly spaced from 0 to 1. OTB, LaSOT and UAV123 take 21, GOT-10k 101.

    Raises:
        ValueError: There are no frames, or the shapes do not match.
    """
    above = overlap(predicted, truth)[:, None] > np.linspace(0, 1, thresholds)
    return _share(above)


def success_auc(
    predicted: ArrayLike, truth: ArrayLike, thresholds: int = SUCCESS_THRESHOLDS
) -> float:
    """Returns the mean of the success curve, known as the area under it, in [0, 1).

    No overlap is above 1, so the truth itself scores (thresholds - 1) / thresholds: 20/21 by
    default. TrackingNet integrates by trapezoids instead, which gives other numbers.
    """
    return float(success_curve(predicted, truth, thresholds).mean())


def precision_curve(predicted: ArrayLike, truth: ArrayLike, limit: int = PRECISION_LIMIT) -> Curve:
    """Returns the share of frames whose centre error is at most 0, 1, ..., `limit` pixels.

    Raises:
        ValueError: There are no frames, or the shapes do not match.
    """
    return _share(center_error(predicted, truth)[:, None] <= np.arange(limit + 1))


def precision(
    predicted: ArrayLike, truth: ArrayLike, threshold: float | int = PRECISION_THRESHOLD
) -> float:
    """Returns the share of frames whose centre error is at most `threshold` pixels, in [0, 1].

    Raises:
        ValueError: There are no frames, or the shapes do not match.
    """
    return float(_share(center_error(predicted, truth)[:, None] <= threshold).item())


def normalized_precision(
    predicted: ArrayLike, truth: ArrayLike, threshold: float | int = 0.5, thresholds: int = 51
) -> float:
    """Returns the mean share of frames whose normalized centre error is at most each threshold.

    Each coordinate of the centre error is divided by the width or height of the true box first.
    The defaults are those of pytracking and got10k. TrackingNet integrates 21 thresholds by
    trapezoids over rounded boxes; LaSOT ranks by the share at the single threshold 0.2.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        threshold: The largest threshold, a fraction of the size of the true box.
        thresholds: How many, evenly spaced from 0 to `threshold`.

    Raises:
        ValueError: There are no frames, or the shapes do not match.
    """
    errors = _center_distance(predicted, truth, normalized=True)
    return float(_share(errors[:, None] <= np.linspace(0, threshold, thresholds)).mean())


def _center_distance(predicted: ArrayLike, truth: ArrayLike, normalized: bool) -> PerFrame:
    predicted, truth, annotated = _pair(predicted, truth)
    offsets = (predicted - truth)[:, :2] + (predicted - truth)[:, 2:] / 2
    if normalized:
        offsets /= np.where(annotated[:, None], truth[:, 2:], 1)
    distances = np.hypot(offsets[:, 0], offsets[:, 1])
    distances[~np.isfinite(distances)] = np.inf
    return np.where(annotated, distances, -1.0)


def _pair(
    predicted: ArrayLike, truth: ArrayLike
) -> tuple[Boxes, Boxes, Bool[np.ndarray, "frames"]]:
    """Returns both as float64 arrays, and which frames are annotated; NaN fills unfit rows."""
    pair = [np.array(boxes, np.float64) for boxes in (predicted, truth)]
    if any(boxes.ndim != 2 or boxes.shape[1] != 4 for boxes in pair) or len(pair[0]) != len(
        pair[1]
    ):
        raise ValueError(
            "predicted and true boxes must be arrays of shape (N, 4) with the same N, "
            f"got {pair[0].shape} and {pair[1].shape}"
        )
    for boxes in pair:
        boxes[~np.isfinite(boxes).all(axis=1)] = np.nan
    annotated = np.all(pair[1][:, 2:] > 0, axis=1)
    return pair[0], pair[1], annotated


def _share(hits: Bool[np.ndarray, "frames thresholds"]) -> Curve:
    if len(hits) == 0:
        raise ValueError("cannot score a sequence of no frames: give at least one box")
    return hits.mean(axis=0)
