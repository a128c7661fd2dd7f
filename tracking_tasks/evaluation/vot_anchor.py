"""VOT's anchor-based experiment (2020 to 2022): a tracker is started from several frames.

Kristan et al., "The Eighth Visual Object Tracking VOT2020 Challenge Results", ECCVW 2020, section
2; accuracy, robustness and expected average overlap as vot-toolkit 0.9.0 computes them.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from basics.errors import InputError
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation.one_pass import Tracker
from tracking_tasks.evaluation.reports import Report
from tracking_tasks.evaluation.vot_overlap import image_size, regions, vot_overlaps
from tracking_tasks.evaluation.vot_runs import Keep, Known, run_all

Overlaps = Float[np.ndarray, "frames"]
Curve = Float[np.ndarray, "lengths"]


@dataclasses.dataclass(frozen=True)
class AnchorConfig:
    """Constants of VOT-ST2020 to 2022 (the toolkit's stacks and defaults).

    Attributes:
        threshold: a tracker has lost its target where its overlap is at most this ...
        grace: ... in so many frames in a row; it failed in the first of them.
        interval: of lengths over which the curve is averaged; the second is not reached.
    """

    threshold: float = 0.1
    grace: int = 10
    interval: tuple[int, int] = (115, 755)


VOT2022 = AnchorConfig()


@dataclasses.dataclass(frozen=True)
class AnchorRun:
    """One run from an anchor.

    Attributes:
        anchor: the frame it started in.
        backward: whether it ran to the first frame and not to the last.
        length: the number of frames of the sequence.
        boxes: predicted boxes in the order of the run; row 0 is the given one.
        overlaps: with the truth, in VOT's sense, in the order of the run. The first is 0: the
            toolkit has no region there, counts it as lost, and divides by a number with it.
        visible: in the order of the run, where the true region is not empty.
        seconds: how long each frame took, in the order of the run.
    """

    anchor: int
    backward: bool
    length: int
    boxes: Float[np.ndarray, "frames 4"]
    overlaps: Overlaps
    visible: Bool[np.ndarray, "frames"]
    seconds: Float[np.ndarray, "frames"]

    def progress(self, config: AnchorConfig = VOT2022) -> int:
        """Returns the frames before the failure; all if there is none."""
        lost = (self.overlaps <= config.threshold) & self.visible
        streak = 0
        for index, each in enumerate(lost.tolist()):
            streak = streak + 1 if each else 0
            if streak == config.grace:
                return index + 1 - config.grace
        return len(lost)


def evaluate_anchored(
    tracker: Tracker,
    sequences: Sequence[sequences_lib.Sequence],
    keep: Keep[AnchorRun] = lambda *_: None,
    known: Known[AnchorRun] = lambda _: None,
) -> Report:
    """Runs a tracker through the experiment, showing a bar, and scores it.

    Args:
        tracker: started anew from every anchor.
        sequences: at least one, with anchors.
        keep: called with the runs of each sequence as soon as they end.
        known: the runs of a sequence that need not be done again, or None.

    Returns:
        `scores`: `accuracy`, `robustness` and `eao`; `sequences`: the former two of each;
        `expected_overlap`: the curve that the EAO is a mean of.

    Raises:
        InputError: as `run_anchored`.
    """
    runs = run_all(run_anchored, tracker, sequences, keep, known)
    pairs = zip(sequences, runs, strict=True)
    return {
        "scores": accuracy_robustness(runs) | {"eao": expected_average_overlap(runs)},
        "sequences": {sequence.name: accuracy_robustness([each]) for sequence, each in pairs},
        "attributes": {},
        "expected_overlap": expected_overlap_curve(runs).tolist(),
    }


def run_anchored(tracker: Tracker, sequence: sequences_lib.Sequence) -> list[AnchorRun]:
    """Runs a tracker from every anchor: the forward ones to the end, then the backward ones.

    Raises:
        InputError: the sequence has no anchors, a frame cannot be read, or the true box of an
            anchor cannot start the tracker.
    """
    return [_run(tracker, sequence, *start) for start in starts(sequence)]


def starts(sequence: sequences_lib.Sequence) -> list[tuple[int, bool]]:
    """Returns the anchors in the order of their runs, and whether each runs backward.

    Raises:
        InputError: the sequence has no anchors.
    """
    if sequence.anchors is None or not sequence.anchors.any():
        raise InputError(f"sequence {sequence.name} has no anchors: VOT's start there")
    forward, backward = (np.flatnonzero(sign * sequence.anchors > 0) for sign in (1, -1))
    return [(int(anchor), False) for anchor in forward] + [(int(each), True) for each in backward]


def _run(
    tracker: Tracker, sequence: sequences_lib.Sequence, anchor: int, backward: bool
) -> AnchorRun:
    boxes, seconds = [np.asarray(sequence.boxes[anchor], np.float64)], []
    for index in order(sequence, anchor, backward):
        image = sequence.frame(index)
        start = time.perf_counter()
        if index == anchor:
            tracker.init(image, sequence.boxes[anchor])
        else:
            boxes.append(np.asarray(tracker.update(image).box, np.float64))
        seconds.append(time.perf_counter() - start)
    return scored(sequence, anchor, backward, np.stack(boxes), np.array(seconds))


def order(sequence: sequences_lib.Sequence, anchor: int, backward: bool) -> range:
    """Returns the frames of a run."""
    return range(anchor, -1, -1) if backward else range(anchor, len(sequence))


def scored(
    sequence: sequences_lib.Sequence,
    anchor: int,
    backward: bool,
    boxes: Float[np.ndarray, "frames 4"],
    seconds: Float[np.ndarray, "frames"],
) -> AnchorRun:
    """Returns a run with its overlaps; the arguments are its attributes."""
    frames, truth = order(sequence, anchor, backward), regions(sequence)
    overlaps = vot_overlaps(boxes, [truth[index] for index in frames], image_size(sequence))
    overlaps[0] = 0
    visible = sequence.annotated[np.array(frames)]
    return AnchorRun(anchor, backward, len(sequence), boxes, overlaps, visible, seconds)


def accuracy_robustness(
    runs: Sequence[Sequence[AnchorRun]], config: AnchorConfig = VOT2022
) -> dict[str, float]:
    """Returns accuracy and robustness over sequences.

    Args:
        runs: of each sequence, at least one.
        config: the constants.

    Returns:
        `accuracy`: the mean overlap before failures, over the frames of all runs together;
        `robustness`: the share of frames before failures, of each sequence, weighted by its length.
    """
    overlap, tracked, robustness, lengths = 0.0, 0, 0.0, 0
    for each in runs:
        progress = [run.progress(config) for run in each]
        pairs = zip(each, progress, strict=True)
        overlap += sum(float(run.overlaps[:end].sum()) for run, end in pairs)
        tracked += sum(progress)
        share = sum(progress) / sum(len(run.overlaps) for run in each)
        robustness += each[0].length * share
        lengths += each[0].length
    return {
        "accuracy": overlap / tracked if tracked else 0.0,
        "robustness": robustness / lengths,
    }


def expected_average_overlap(
    runs: Sequence[Sequence[AnchorRun]], config: AnchorConfig = VOT2022
) -> float:
    """Returns the mean of `expected_overlap_curve` over the interval of lengths."""
    return float(expected_overlap_curve(runs, config)[slice(*config.interval)].mean())


def expected_overlap_curve(
    runs: Sequence[Sequence[AnchorRun]], config: AnchorConfig = VOT2022
) -> Curve:
    """Returns the overlap to be expected over the first 0, 1, 2, ... frames after a start.

    The value of a run at a length n is the mean overlap of its frames 1 to n, with zeros after a
    failure. A run without failure counts up to its own end; one with a failure goes on in zeros
    (there the toolkit divides by n - 1 and not by n). All runs weigh the same; a length that none
    reaches has 0.

    Args:
        runs: of each sequence.
        config: the constants; the curve ends before the end of the interval.
    """
    lengths = np.arange(config.interval[1])
    total, active = np.zeros(len(lengths)), np.zeros(len(lengths))
    for run in (run for each in runs for run in each):
        end = run.progress(config)
        overlaps = np.where(np.arange(len(run.overlaps)) < end, run.overlaps, 0)
        overlaps[0] = 0
        inside = lengths < len(overlaps)
        sums = overlaps.cumsum()[np.minimum(lengths, len(overlaps) - 1)]
        counted = inside | (end < len(overlaps))
        total += np.where(counted, sums / np.where(inside, lengths, lengths - 1).clip(1), 0)
        active += counted
    return np.divide(total, active, out=np.zeros(len(lengths)), where=active > 0)
