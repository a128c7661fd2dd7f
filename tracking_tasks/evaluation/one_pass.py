"""One-pass evaluation (OTB): a tracker starts from the first true box and is never restarted."""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike
from tqdm import tqdm

from tracking_tasks import boxes
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.errors import InputError
from tracking_tasks.evaluation import metrics


@runtime_checkable
class Prediction(Protocol):
    """Where a tracker says its target is: a box (x, y, width, height) and a confidence."""

    @property
    def box(self) -> ArrayLike: ...

    @property
    def score(self) -> ArrayLike: ...


@runtime_checkable
class Tracker(Protocol):
    """What the evaluation needs of a tracker."""

    def init(self, image: UInt8[np.ndarray, "height width 3"], box: ArrayLike) -> Any:
        """Starts on a new target: an image and its box in it."""

    def update(self, image: UInt8[np.ndarray, "height width 3"]) -> Prediction:
        """Finds the target in the next image."""


@dataclasses.dataclass(frozen=True)
class SequenceResult:
    """What a tracker did on one sequence.

    Attributes:
        name: The sequence.
        boxes: Predicted boxes; row 0 is the given box.
        truth: True boxes.
        seconds: How long each call of `update` took, from the image in memory to the box in memory.
    """

    name: str
    boxes: Float[np.ndarray, "frames 4"]
    truth: Float[np.ndarray, "frames 4"]
    seconds: Float[np.ndarray, "updates"]

    def scores(self) -> dict[str, float]:
        """Returns `auc`, `precision20`, `mean_overlap` and `fps`."""
        return {
            "auc": metrics.success_auc(self.boxes, self.truth),
            "precision20": metrics.precision(self.boxes, self.truth),
            "mean_overlap": float(metrics.overlap(self.boxes, self.truth).mean()),
            "fps": _frames_per_second([self]),
        }


def evaluate(
    tracker: Tracker, sequences: Sequence[sequences_lib.Sequence], *, progress: bool = True
) -> list[SequenceResult]:
    """Runs a tracker over sequences, showing a bar with the time left.

    Args:
        tracker: Initialized once per sequence on the first true box, which counts as its first
            prediction, as in OTB.
        sequences: At least one, of at least two frames each.
        progress: Whether to show the bar (on standard error).

    Raises:
        InputError: A sequence is too short, its first box cannot start a tracker (both found out
            before any tracking), or a frame cannot be read.
    """
    for sequence in sequences:
        _check(sequence)
    results = []
    with tqdm(total=sum(map(len, sequences)), unit="frame", disable=not progress) as bar:
        for sequence in sequences:
            bar.set_description(sequence.name)
            results.append(_run(tracker, sequence, bar))
    return results


def summarize(results: Sequence[SequenceResult]) -> dict[str, float]:
    """Returns the mean of each score over sequences, and `fps` over all their frames together.

    `fps` counts calls of `update` per second spent in them, reading of files excluded. The first
    call of every sequence is left out, for that is where a tracker compiles (for the frame size of
    the sequence), unless no sequence has a second one.
    """
    scores = [result.scores() for result in results]
    means = {key: float(np.mean([each[key] for each in scores])) for key in scores[0]}
    return means | {"fps": _frames_per_second(results)}


def _check(sequence: sequences_lib.Sequence) -> None:
    if len(sequence) < 2:
        raise InputError(f"sequence {sequence.name} has fewer than two frames: leave it out")
    try:
        boxes.validate_box(sequence.boxes[0], sequence.frame(0).shape)
    except InputError as error:
        raise InputError(f"sequence {sequence.name}, first frame: {error}") from None


def _run(tracker: Tracker, sequence: sequences_lib.Sequence, bar: tqdm) -> SequenceResult:
    predicted, seconds = [sequence.boxes[0]], []
    tracker.init(sequence.frame(0), sequence.boxes[0])
    bar.update()
    for index in range(1, len(sequence)):
        image = sequence.frame(index)
        start = time.perf_counter()
        # The conversion waits for the computation, which JAX runs asynchronously.
        predicted.append(np.asarray(tracker.update(image).box, np.float32))
        seconds.append(time.perf_counter() - start)
        bar.update()
    return SequenceResult(sequence.name, np.stack(predicted), sequence.boxes, np.array(seconds))


def _frames_per_second(results: Iterable[SequenceResult]) -> float:
    results = list(results)
    seconds = np.concatenate([result.seconds[1:] for result in results])
    if len(seconds) == 0:
        seconds = np.concatenate([result.seconds for result in results])
    return float(len(seconds) / seconds.sum())
