"""One-pass evaluation (OTB): a tracker starts from the first true box and is never restarted."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from basics.errors import InputError
from tracking_tasks import boxes
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import engine, metrics
from tracking_tasks.evaluation.tracks import Tracker


@dataclasses.dataclass(frozen=True)
class SequenceResult:
    """What a tracker did on one sequence.

    Attributes:
        name: the sequence.
        boxes: predicted boxes; row 0 is the given box.
        truth: true boxes.
        seconds: how long each call of `update` took, from the image in memory to the box in memory.
            Where n videos ran side by side it is the share of one of them, the n-th part.
        confidences: the tracker's own score of each box; that of row 0 is 1.
        undone: how many updates of the tracker were not finite and were undone.
    """

    name: str
    boxes: Float[np.ndarray, "frames 4"]
    truth: Float[np.ndarray, "frames 4"]
    seconds: Float[np.ndarray, "updates"]
    confidences: Float[np.ndarray, "frames"]
    undone: int = 0

    def scores(self) -> dict[str, float]:
        """Returns `auc`, `precision20`, `mean_overlap` and `fps`."""
        return {
            "auc": metrics.success_auc(self.boxes, self.truth),
            "precision20": metrics.precision(self.boxes, self.truth),
            "mean_overlap": float(metrics.overlap(self.boxes, self.truth).mean()),
            "fps": _frames_per_second([self]),
        }


def evaluate(
    tracker: Tracker,
    sequences: Sequence[sequences_lib.Sequence],
    *,
    parallel_videos: int = 1,
    keep: Callable[[SequenceResult], None] = lambda _: None,
    broken: Callable[[str, InputError], None] | None = None,
    progress: bool = True,
) -> list[SequenceResult]:
    """Runs a tracker over sequences, showing a bar with the time left.

    Args:
        tracker: initialized once per sequence on the first true box, which counts as its first
            prediction, as in OTB. For several videos side by side, an `OnlineTracker`.
        sequences: of at least two frames each.
        parallel_videos: how many run side by side, see `engine`.
        keep: called with each result as soon as its sequence ends.
        broken: called with the name of each sequence that cannot be tracked, and why; the others
            go on. By default such a sequence ends everything.
        progress: whether to show the bar (on standard error).

    Returns:
        The results in the order of the sequences, whichever ended first.

    Raises:
        InputError: a sequence is too short, its first box cannot start a tracker (both found out
            before any tracking), or a frame cannot be read; without `broken`.
    """
    waiting = [sequence for sequence in sequences if _usable(sequence, broken)]
    results: dict[str, SequenceResult] = {}
    with tqdm(total=sum(map(len, waiting)), unit="frame", disable=not progress) as bar:
        while waiting:
            try:
                for index, track in engine.run(tracker, waiting, parallel_videos, bar.update):
                    sequence = waiting[index]
                    result = results[sequence.name] = SequenceResult(
                        sequence.name,
                        track.boxes,
                        sequence.boxes,
                        track.seconds,
                        track.confidences,
                        track.undone,
                    )
                    keep(result)
                break
            except engine.BrokenSequenceError as error:
                if broken is None:
                    raise
                broken(waiting.pop(error.index).name, error)
                waiting = [sequence for sequence in waiting if sequence.name not in results]
    return [results[sequence.name] for sequence in sequences if sequence.name in results]


def summarize(results: Sequence[SequenceResult]) -> dict[str, float]:
    """Returns the mean of each score over sequences, and `fps` over all their frames together.

    `fps` counts calls of `update` per second spent in them, reading of files excluded. The first
    call of every sequence is left out, for that is where a tracker compiles (for the frame size of
    the sequence), unless no sequence has a second one.
    """
    scores = [result.scores() for result in results]
    means = {key: float(np.mean([each[key] for each in scores])) for key in scores[0]}
    return means | {"fps": _frames_per_second(results)}


def _usable(
    sequence: sequences_lib.Sequence, broken: Callable[[str, InputError], None] | None
) -> bool:
    try:
        _check(sequence)
    except InputError as error:
        if broken is None:
            raise
        broken(sequence.name, error)
        return False
    return True


def _check(sequence: sequences_lib.Sequence) -> None:
    if len(sequence) < 2:
        raise InputError(f"sequence {sequence.name} has fewer than two frames: leave it out")
    try:
        boxes.validate_box(sequence.boxes[0], sequence.frame(0).shape)
    except InputError as error:
        raise InputError(f"sequence {sequence.name}, first frame: {error}") from None


def _frames_per_second(results: Iterable[SequenceResult]) -> float:
    results = list(results)
    seconds = np.concatenate([result.seconds[1:] for result in results])
    if len(seconds) == 0:
        seconds = np.concatenate([result.seconds for result in results])
    return float(len(seconds) / seconds.sum())
