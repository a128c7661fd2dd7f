"""The one-pass protocol of LaSOT (Fan et al., CVPR 2019), as its MATLAB toolkit computes it."""

import numpy as np
from jaxtyping import Bool

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
    positive_from_one,
    start_and_repeat,
)

_KEYS = ("auc", "precision20", "normalized_precision", "normalized_precision_area")


def lasot(results: Results, sequences: Sequences) -> Report:
    """Scores LaSOT: means over sequences of `scores`, per attribute too."""
    return mean_report(_score, results, sequences)


def scores(
    predicted: Boxes, truth: Boxes, absent: Bool[np.ndarray, "frames"] | None = None
) -> Scores:
    """Returns the scores of one sequence.

    The first prediction is replaced by the truth, and an unusable one by that before it. Frames in
    which the target is absent are left out, yet shares are taken of all frames: the more of them,
    the lower the best score there is. A frame that is not annotated though not absent is a miss in
    success and a hit in precision.

    pytracking keeps absent frames and counts them as misses, which comes to the same; the LaSOT
    experiment of got10k scores them like any other.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes, x and y from 0.
        absent: (N,) True where the target is fully occluded or out of view; nowhere by default.

    Returns:
        `auc` over 21 thresholds, `precision20`, `normalized_precision` at the threshold 0.2, by
        which the toolkit ranks, and `normalized_precision_area`, the mean up to 0.5 that most
        papers report since.
    """
    kept = np.ones(len(truth), bool) if absent is None else ~absent
    if not kept.any():
        return dict.fromkeys(_KEYS, 0.0)
    boxes = start_and_repeat(predicted, truth)[kept]
    target = positive_from_one(truth)[kept]
    values = (
        metrics.success_auc(boxes, target),
        metrics.precision(boxes, target),
        metrics.normalized_precision(boxes, target, "lasot"),
        metrics.normalized_precision(boxes, target, "area"),
    )
    return {key: value * float(kept.mean()) for key, value in zip(_KEYS, values, strict=True)}


def _score(result: Result, sequence: sequences_lib.Sequence) -> Scores:
    return scores(result.boxes, result.truth, sequence.absent)
