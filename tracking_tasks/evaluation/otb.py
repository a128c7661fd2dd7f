"""The one-pass protocols of the Object Tracking Benchmark (OTB), and of UAV123 after it.

Both replace the first prediction by the truth and repeat a box in place of an unusable one, take
the area under the success curve over 21 thresholds and the precision at 20 pixels of each sequence,
and mean over sequences. A frame that is not annotated lowers the success and counts as a hit in
precision. They differ in which frames those are.
"""

import numpy as np

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


def otb(results: Results, sequences: Sequences) -> Report:
    """Scores OTB-50, OTB-100 and what shares their protocol, as the benchmark's MATLAB code does.

    Per attribute too. Of each sequence `auc`, `precision20`, and `success50`, the share of frames
    with an overlap above one half.

    got10k's ExperimentOTB differs in frames that are not annotated, or not wholly inside the image
    (it scores them like any other), and in unusable predictions (it scores them as they are).
    pytracking and pysot differ in true boxes that stick out (see `reports.positive_from_one`);
    pytracking also leaves out the frames without annotation.
    """
    return mean_report(_otb, results, sequences)


def uav123(results: Results, sequences: Sequences) -> Report:
    """Scores UAV123, UAV20L and what shares their protocol, as pytracking and pysot do.

    Frames whose truth is NaN or has no size are not annotated: misses in success, hits in
    precision. got10k leaves them out, which gives `auc_annotated` and `precision20_annotated`; of
    all that is published one has to know which it is (the same boxes of TransT scored 66.1 with
    pytracking and 70.3 with got10k).
    """
    return mean_report(_uav123, results, sequences)


def _otb(result: Result, sequence: sequences_lib.Sequence) -> Scores:
    predicted = start_and_repeat(result.boxes, result.truth)
    return _scores(predicted, positive_from_one(result.truth))


def _uav123(result: Result, sequence: sequences_lib.Sequence) -> Scores:
    annotated = np.all(result.truth[:, 2:] > 0, axis=1)
    # As published, absent targets have NaN.
    truth = np.where(annotated[:, None], result.truth, np.nan)
    predicted = start_and_repeat(result.boxes, truth)
    kept = _scores(predicted[annotated], result.truth[annotated])
    return _scores(predicted, result.truth) | {
        f"{key}_annotated": kept[key] for key in ("auc", "precision20")
    }


def _scores(predicted: Boxes, truth: Boxes) -> Scores:
    return {
        "auc": metrics.success_auc(predicted, truth),
        "precision20": metrics.precision(predicted, truth),
        "success50": float(np.mean(metrics.overlap(predicted, truth) > 0.5)),
    }
