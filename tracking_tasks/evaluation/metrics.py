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

What a benchmark does beside (repeat, round, clip or leave out boxes) is in the module named
after it.

References:
    Wu, Lim, Yang, "Object Tracking Benchmark", TPAMI 2015, section 4.
    Müller et al., "TrackingNet", ECCV 2018, section 4 (normalized precision).
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

SUCCESS_THRESHOLDS = 21
PRECISION_THRESHOLD = 20.0  # pixels
PRECISION_LIMIT = 50  # pixels, where OTB's precision plots end
NORMALIZED_LIMIT = 0.5  # of the true size, where plots of normalized precision end
NORMALIZED_THRESHOLD = 0.2  # at which LaSOT and pytracking read them

Definition = Literal["area", "lasot", "trackingnet"]

Boxes = Float[np.ndarray, "frames 4"]
PerFrame = Float[np.ndarray, "frames"]
Curve = Float[np.ndarray, "thresholds"]


def overlap(predicted: ArrayLike, truth: ArrayLike) -> PerFrame:
    """Returns the intersection over union of each pair of boxes, (N,) in [0, 1].

    Raises:
        ValueError: the two are not arrays of shape (N, 4) with the same N.
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
        ValueError: the two are not arrays of shape (N, 4) with the same N.
    """
    return _center_distance(predicted, truth, normalized=False)


def normalized_center_error(predicted: ArrayLike, truth: ArrayLike) -> PerFrame:
    """Returns the centre errors with x divided by the true width and y by the true height, (N,).

    Raises:
        ValueError: the two are not arrays of shape (N, 4) with the same N.
    """
    return _center_distance(predicted, truth, normalized=True)


def success_curve(
    predicted: ArrayLike, truth: ArrayLike, thresholds: int = SUCCESS_THRESHOLDS
) -> Curve:
    """Returns the share of frames whose overlap is strictly above each threshold in [0, 1].

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        thresholds: how many, evenly spaced from 0 to 1. OTB, LaSOT and UAV123 take 21, GOT-10k 101.

    Raises:
        ValueError: there are no frames, or the shapes do not match.
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
        ValueError: there are no frames, or the shapes do not match.
    """
    return _share(center_error(predicted, truth)[:, None] <= np.arange(limit + 1))


def precision(
    predicted: ArrayLike, truth: ArrayLike, threshold: float | int = PRECISION_THRESHOLD
) -> float:
    """Returns the share of frames whose centre error is at most `threshold` pixels, in [0, 1].

    Raises:
        ValueError: there are no frames, or the shapes do not match.
    """
    return float(_share(center_error(predicted, truth)[:, None] <= threshold).item())


def normalized_precision(
    predicted: ArrayLike, truth: ArrayLike, definition: Definition = "area"
) -> float:
    """Returns how many frames have a small normalized centre error, in [0, 1].

    Each coordinate of the centre error is divided by the width or height of the true box first.
    Toolkits sum up the share of frames up to a threshold differently:

    `area` is its mean over the 51 thresholds 0, 0.01, ..., 0.5, as in got10k's LaSOT experiment
    and most papers after TrackingNet.

    `lasot` is the share at the threshold 0.2, by which LaSOT's toolkit and pytracking rank. What
    LaSOT does with absent frames is in `lasot.scores`.

    `trackingnet` is the area by trapezoids under 21 thresholds from 0 to 0.5, divided by 0.5, over
    boxes rounded to integers (TrackingNet's devkit, which reports it times 100). A frame without
    annotation is a miss here: the devkit divides by its zero size.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        definition: whose.

    Raises:
        ValueError: there are no frames, the shapes do not match, or the definition is unknown.
    """
    if definition == "lasot":
        errors = normalized_center_error(predicted, truth)
        return float(_share(errors[:, None] <= NORMALIZED_THRESHOLD).item())
    if definition == "area":
        return float(normalized_precision_curve(predicted, truth).mean())
    if definition == "trackingnet":
        predicted, truth = np.round(np.asarray(predicted)), np.round(np.asarray(truth))
        errors = normalized_center_error(predicted, truth)
        errors[errors < 0] = np.inf
        thresholds = np.linspace(0, NORMALIZED_LIMIT, SUCCESS_THRESHOLDS)
        curve = _share(errors[:, None] <= thresholds)
        return float(np.trapezoid(curve, dx=1 / (SUCCESS_THRESHOLDS - 1)))
    raise ValueError(
        f"unknown definition {definition!r} of normalized precision: "
        "known are area, lasot and trackingnet"
    )


def normalized_precision_curve(predicted: ArrayLike, truth: ArrayLike) -> Curve:
    """Returns the share of frames with a normalized centre error of at most 0, 0.01, ..., 0.5.

    Raises:
        ValueError: there are no frames, or the shapes do not match.
    """
    thresholds = np.arange(PRECISION_LIMIT + 1) / 100
    return _share(normalized_center_error(predicted, truth)[:, None] <= thresholds)


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
