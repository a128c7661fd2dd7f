"""The one-pass protocol of TrackingNet (Müller et al., ECCV 2018), as its devkit computes it."""

import numpy as np
from jaxtyping import Float

from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import metrics
from tracking_tasks.evaluation.reports import (
    Boxes,
    Report,
    Result,
    Results,
    Scores,
    Sequences,
    mean_report,
)

_THRESHOLDS = 21  # of each curve (metrics.py of the devkit)


def trackingnet(results: Results, sequences: Sequences) -> Report:
    """Scores TrackingNet: means over sequences of `scores`."""
    return mean_report(_score, results, sequences)


def scores(predicted: Boxes, truth: Boxes) -> Scores:
    """Returns the scores of one sequence, all of them areas times 100.

    Boxes are rounded to integers (halves to the even one) and the first prediction is replaced by
    the truth. Every curve has 21 thresholds: overlap from 0 to 1 (strictly above), centre error
    from 0 to 50 pixels, normalized centre error from 0 to 0.5; the area is taken by trapezoids and
    the thresholds are scaled to [0, 1] for it. Perfect tracking scores 97.5, 100 and 100.

    Where the target is absent the truth has no size: a miss in success and normalized precision,
    but the centre error is that to the corner where the truth lies, unlike in every other toolkit.

    Args:
        predicted: (N, 4) boxes; a row that is not finite misses.
        truth: (N, 4) boxes.

    Returns:
        `success`, `precision` and `normalized_precision`.
    """
    truth = np.round(np.array(truth, np.float64))
    predicted = np.round(np.array(predicted, np.float64))
    predicted[0] = truth[0]
    offsets = (predicted - truth)[:, :2] + (predicted - truth)[:, 2:] / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        normalized = offsets / truth[:, 2:]  # infinite or NaN without a size: below no threshold
    unit = np.linspace(0, 1, _THRESHOLDS)
    success = metrics.overlap(predicted, truth)[:, None] > unit
    precision = np.hypot(*offsets.T)[:, None] <= unit * metrics.PRECISION_LIMIT
    close = np.hypot(*normalized.T)[:, None] <= unit * metrics.NORMALIZED_LIMIT
    return {
        "success": _area(success.mean(axis=0)),
        "precision": _area(precision.mean(axis=0)),
        "normalized_precision": _area(close.mean(axis=0)),
    }


def _area(curve: Float[np.ndarray, "thresholds"]) -> float:
    return 100 * float(np.trapezoid(curve, dx=1 / (_THRESHOLDS - 1)))


def _score(result: Result, sequence: sequences_lib.Sequence) -> Scores:
    return scores(result.boxes, result.truth)
