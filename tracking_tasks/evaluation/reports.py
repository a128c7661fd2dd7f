"""What a protocol makes of a tracker's results: scores over all sequences, and of each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from basics.errors import InputError
from tracking_tasks.data import sequences as sequences_lib

Scores = dict[str, float]
Report = dict[str, Any]
Boxes = Float[np.ndarray, "frames 4"] | Int[np.ndarray, "frames 4"]


@runtime_checkable
class Result(Protocol):
    """What a tracker did on one sequence."""

    @property
    def name(self) -> str: ...

    @property
    def boxes(self) -> Boxes: ...

    @property
    def truth(self) -> Boxes: ...


Results = Sequence[Result]
Sequences = Sequence[sequences_lib.Sequence]


def mean_report(
    score: Callable[[Result, sequences_lib.Sequence], Scores],
    results: Results,
    sequences: Sequences,
) -> Report:
    """Scores each result, and takes means in which every sequence weighs the same.

    Args:
        score: of one result and its sequence.
        results: at least one.
        sequences: those of the results, by name; there may be more.

    Returns:
        `scores`, the means; `sequences`, the scores of each by its name; `attributes`, the means
        over the sequences that have one, by its name, with their number as `sequences`.

    Raises:
        InputError: the truth of all results is withheld after the first frame, or a result is of
            an unknown sequence.
    """
    pairs = paired(results, sequences)
    require_truth(results)
    scores = {result.name: score(result, sequence) for result, sequence in pairs}
    attributes = {name for _, sequence in pairs for name in sequence.attributes}
    members = {
        attribute: [scores[r.name] for r, sequence in pairs if attribute in sequence.attributes]
        for attribute in sorted(attributes)
    }
    return {
        "scores": mean(list(scores.values())),
        "sequences": scores,
        "attributes": {
            name: {"sequences": len(each)} | mean(each) for name, each in members.items()
        },
    }


def paired(results: Results, sequences: Sequences) -> list[tuple[Result, sequences_lib.Sequence]]:
    """Returns each result with its sequence.

    Raises:
        InputError: there is no sequence of a result's name.
    """
    known = {sequence.name: sequence for sequence in sequences}
    for result in results:
        if result.name not in known:
            raise InputError(f"{result.name} is no sequence of the data set that was given")
    return [(result, known[result.name]) for result in results]


def require_truth(results: Results) -> None:
    """Raises InputError if no result has a true box after its first frame."""
    if not any((result.truth[1:, 2:] > 0).all(axis=1).any() for result in results):
        raise InputError(
            "there is no true box after the first frames: where the truth is withheld, write a "
            "submission for the benchmark's server instead"
        )


def mean(scores: Sequence[Mapping[str, float]]) -> Scores:
    """Returns the mean of each score."""
    return {key: float(np.mean([each[key] for each in scores])) for key in scores[0]}


def start_and_repeat(predicted: Boxes, truth: Boxes) -> Float[np.ndarray, "frames 4"]:
    """Returns predictions as OTB and those after it score them, float64.

    The first box is the true one, and a prediction without size, or that is not finite, is replaced
    by the box before it, unless its frame has no truth (NaN).
    """
    boxes = np.array(predicted, np.float64)
    boxes[0] = truth[0]
    unusable = ~np.isfinite(boxes).all(axis=1) | ~(boxes[:, 2:] > 0).all(axis=1)
    replaced = np.flatnonzero(unusable & ~np.isnan(truth).any(axis=1))
    for index in replaced[replaced > 0]:
        boxes[index] = boxes[index - 1]
    return boxes


def positive_from_one(truth: Boxes) -> Float[np.ndarray, "frames 4"]:
    """Returns true boxes with NaN in rows that MATLAB toolkits take for not annotated.

    They ask for four positive numbers, with x and y counted from 1: a target that sticks out of the
    image on the left or at the top by a pixel or more is not scored. pytracking, pysot and got10k
    ask for a size only, or nothing.
    """
    boxes = np.array(truth, np.float64)
    boxes[~(boxes + np.array([1, 1, 0, 0]) > 0).all(axis=1)] = np.nan
    return boxes
