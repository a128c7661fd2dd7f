"""The one-pass protocol of GOT-10k (Huang et al., TPAMI 2019), as its toolkit computes it."""

import numpy as np
from jaxtyping import Bool, Float

from tracking_tasks.evaluation import metrics
from tracking_tasks.evaluation.reports import (
    Boxes,
    Report,
    Results,
    Scores,
    Sequences,
    paired,
    require_truth,
)


def got10k(results: Results, sequences: Sequences) -> Report:
    """Scores GOT-10k: `ao`, `sr50` and `sr75` over the frames of all sequences together.

    A long sequence weighs more than a short one, unlike in the other protocols. Results of several
    runs of a sequence are pooled like the frames of a longer one, as the toolkit pools repetitions.
    The toolkit computes no success rate at 0.75; the benchmark's server does. A sequence in which
    no frame counts is not among the `sequences`.

    Raises:
        InputError: the truth is withheld, as in the test set: write a submission for the server.
    """
    require_truth(results)
    pooled: dict[str, list[Float[np.ndarray, scored]]] = {}
    for result, sequence in paired(results, sequences):
        visible = None if sequence.visible is None else sequence.visible > 0
        height, width = sequence.frame(0).shape[:2]
        scored = overlaps(result.boxes, result.truth, (width, height), visible)
        pooled.setdefault(result.name, []).append(scored)
    each = {name: np.concatenate(runs) for name, runs in pooled.items()}
    return {
        "scores": scores(np.concatenate(list(each.values()))),
        "sequences": {name: scores(values) for name, values in each.items() if len(values)},
        "attributes": {},
    }


def overlaps(
    predicted: Boxes,
    truth: Boxes,
    size: tuple[int, int],
    visible: Bool[np.ndarray, "frames"] | None = None,
) -> Float[np.ndarray, "scored"]:
    """Returns the overlaps in all frames that count.

    The first frame is left out, and those in which nothing of the target can be seen. Both boxes
    are clipped to the image first.

    Args:
        predicted: (N, 4) boxes.
        truth: (N, 4) boxes.
        size: width and height of the image in pixels.
        visible: (N,) where something of the target can be seen; everywhere by default.
    """
    kept = np.ones(len(truth), bool) if visible is None else visible.copy()
    kept[0] = False
    return metrics.overlap(clipped(predicted, size)[kept], clipped(truth, size)[kept])


def scores(values: Float[np.ndarray, "scored"]) -> Scores:
    """Returns the average overlap `ao` and the success rates `sr50` and `sr75` of overlaps.

    The success rates are shares strictly above 0.5 and 0.75.
    """
    return {
        "ao": float(values.mean()),
        "sr50": float((values > 0.5).mean()),
        "sr75": float((values > 0.75).mean()),
    }


def clipped(boxes: Boxes, size: tuple[int, int]) -> Float[np.ndarray, "frames 4"]:
    """Returns boxes clipped to an image as the toolkit does it.

    The corner is moved into the image and the sides are shortened to fit. A box that sticks out on
    the left or at the top is thereby shifted, and keeps its size.
    """
    boxes = np.array(boxes, np.float64)
    boxes[:, :2] = boxes[:, :2].clip(0, size)
    boxes[:, 2:] = boxes[:, 2:].clip(0, size - boxes[:, :2])
    return boxes
