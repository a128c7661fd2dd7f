"""VOT's supervised experiment (2013 to 2019): a tracker that fails is started again.

Kristan et al., "A Novel Performance Evaluation Methodology for Single-Target Trackers", TPAMI 2016;
accuracy, robustness and expected average overlap as vot-toolkit 0.9.0 computes them.
"""

import dataclasses
import enum
import math
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation.one_pass import Tracker
from tracking_tasks.evaluation.reports import Report
from tracking_tasks.evaluation.vot_overlap import image_size, regions, vot_overlap
from tracking_tasks.evaluation.vot_runs import Keep, Known, run_all

# The lengths over which each year averages its curve, both included (the toolkit's stacks).
EAO_INTERVALS = {
    "vot2015": (108, 371),
    "vot2016": (108, 371),
    "vot2017": (100, 356),
    "vot2018": (100, 356),
    "vot2019": (46, 291),
}

Overlaps = Float[np.ndarray, "frames"]
Codes = Int[np.ndarray, "frames"]
Curve = Float[np.ndarray, "lengths"]


class Code(enum.IntEnum):
    """What a frame of a run is; the first three are the toolkit's, which writes them for a box."""

    SKIPPED = 0
    STARTED = 1
    FAILED = 2
    TRACKED = 3


@dataclasses.dataclass(frozen=True)
class SupervisedConfig:
    """Constants of VOT-ST2018 and of the years around it (the toolkit's stacks and defaults).

    Attributes:
        repetitions: runs of each sequence.
        same_runs: after so many equal runs the tracker is taken for deterministic, and no more
            follow.
        failure_overlap: a tracker fails where its overlap is at most this.
        skip: a tracker that failed starts again this many frames later.
        burn_in: frames after a start, itself included, that accuracy leaves out.
        sensitivity: S in the reliability exp(-S failures / frames) of AR plots.
    """

    repetitions: int = 15
    same_runs: int = 3
    failure_overlap: float = 0.0
    skip: int = 5
    burn_in: int = 10
    sensitivity: float = 30.0


VOT2018 = SupervisedConfig()


@dataclasses.dataclass(frozen=True)
class SupervisedRun:
    """One run over one sequence.

    Attributes:
        boxes: predicted boxes; zeros where `codes` is not `Code.TRACKED`.
        codes: `Code` of each frame.
        overlaps: with the truth, in VOT's sense; 0 where `codes` is not `Code.TRACKED`.
        seconds: how long each frame took; 0 where it was skipped.
    """

    boxes: Float[np.ndarray, "frames 4"]
    codes: Codes
    overlaps: Overlaps
    seconds: Float[np.ndarray, "frames"]


def evaluate_supervised(
    tracker: Tracker,
    sequences: Sequence[sequences_lib.Sequence],
    interval: tuple[int, int],
    keep: Keep[SupervisedRun] = lambda *_: None,
    known: Known[SupervisedRun] = lambda _: None,
) -> Report:
    """Runs a tracker through the experiment, showing a bar, and scores it.

    Args:
        tracker: started anew for every run.
        sequences: at least one; every frame annotated.
        interval: of lengths, that of the year in `EAO_INTERVALS`.
        keep: called with the runs of each sequence as soon as they end.
        known: the runs of a sequence that need not be done again, or None.

    Returns:
        `scores`: those of `accuracy_robustness`, and `eao`, unless all fragments are shorter than
        the interval; `sequences`: the former of each; `expected_overlap`:
        the curve that the EAO is a mean of.

    Raises:
        InputError: as `run_supervised`.
    """
    runs = run_all(run_supervised, tracker, sequences, keep, known)
    pairs = zip(sequences, runs, strict=True)
    eao = expected_average_overlap(runs, interval)
    return {
        "scores": accuracy_robustness(runs) | ({} if math.isnan(eao) else {"eao": eao}),
        "sequences": {sequence.name: accuracy_robustness([each]) for sequence, each in pairs},
        "attributes": {},
        "expected_overlap": expected_overlap_curve(runs).tolist(),
    }


def run_supervised(
    tracker: Tracker,
    sequence: sequences_lib.Sequence,
    config: SupervisedConfig = VOT2018,
) -> list[SupervisedRun]:
    """Runs a tracker through a sequence, several times, starting it again after each failure.

    The overlap that decides is that with the outline of the target, where the sequence has one.

    Raises:
        InputError: a frame cannot be read, or a true box cannot start the tracker.
    """
    runs: list[SupervisedRun] = []
    while not are_enough(runs, config):
        runs.append(_run(tracker, sequence, config))
    return runs


def are_enough(runs: Sequence[SupervisedRun], config: SupervisedConfig = VOT2018) -> bool:
    """Returns whether no more runs over a sequence follow."""
    same = len(runs) >= config.same_runs and all(_equal(run, runs[0]) for run in runs[1:])
    return same or len(runs) >= config.repetitions


def accuracy(run: SupervisedRun, burn_in: int) -> float:
    """Returns the mean overlap of the tracked frames, without those after a start; 0 of none."""
    counted = run.codes == Code.TRACKED
    for start in np.flatnonzero(run.codes == Code.STARTED):
        counted[start : start + burn_in] = False
    return float(run.overlaps[counted].mean()) if counted.any() else 0.0


def failures(run: SupervisedRun) -> int:
    """Returns how often a tracker failed."""
    return int(np.count_nonzero(run.codes == Code.FAILED))


def accuracy_robustness(
    runs: Sequence[Sequence[SupervisedRun]], config: SupervisedConfig = VOT2018
) -> dict[str, float]:
    """Returns accuracy, robustness and reliability over sequences.

    Args:
        runs: of each sequence, at least one.
        config: the constants.

    Returns:
        `accuracy` and `robustness`, the mean overlap and the number of failures of a sequence (mean
        over its runs), both weighted by the lengths of the sequences; `reliability`, exp(-S F / N)
        of that number F and the mean length N, the abscissa of AR plots. (pysot's robustness is
        failures per 100 frames, of all sequences together.)
    """
    lengths = [len(each[0].codes) for each in runs]
    per_sequence = [
        (
            np.mean([accuracy(run, config.burn_in) for run in each]),
            np.mean([failures(run) for run in each]),
        )
        for each in runs
    ]
    a, f = np.average(per_sequence, axis=0, weights=lengths).tolist()
    return {
        "accuracy": a,
        "robustness": f,
        "reliability": math.exp(-config.sensitivity * f / float(np.mean(lengths))),
    }


def expected_overlap_curve(runs: Sequence[Sequence[SupervisedRun]]) -> Curve:
    """Returns the overlap to be expected over the first 0, 1, 2, ... frames after a start.

    Each start begins a fragment, which ends with a failure or with the sequence. Its value at a
    length n is the mean overlap of its frames 1 to n. One that ended in a failure is continued by
    zeros; the others count up to their own end only. All weigh the same. (pysot, like the toolkit
    in MATLAB, weighs fragments by the lengths of their sequences.)
    """
    fragments = [fragment for each in runs for run in each for fragment in _fragments(run)]
    longest = max(len(overlaps) for overlaps, _ in fragments)
    total, active = np.zeros(longest), np.zeros(longest)
    for overlaps, failed in fragments:
        padded = np.zeros(longest)
        padded[1 : len(overlaps)] = overlaps[1:]
        counted = longest if failed else len(overlaps)
        means = padded.cumsum() / np.arange(longest).clip(1)
        total[:counted] += means[:counted]
        active[:counted] += 1
    return total / active


def expected_average_overlap(
    runs: Sequence[Sequence[SupervisedRun]], interval: tuple[int, int]
) -> float:
    """Returns the mean of the curve over an interval of lengths, both ends included.

    Where the longest fragment ends before the interval does, so does the mean; where it ends before
    the interval begins, there is none (NaN).

    Args:
        runs: of each sequence, at least one.
        interval: that of the year, in `EAO_INTERVALS`.
    """
    low, high = interval
    inside = expected_overlap_curve(runs)[low : high + 1]
    return float(inside.mean()) if len(inside) else math.nan


def _run(
    tracker: Tracker, sequence: sequences_lib.Sequence, config: SupervisedConfig
) -> SupervisedRun:
    truth, size, frames = regions(sequence), image_size(sequence), len(sequence)
    run = SupervisedRun(
        np.zeros((frames, 4)), np.zeros(frames, np.int8), np.zeros(frames), np.zeros(frames)
    )
    index, running = 0, False
    while index < frames:
        image = sequence.frame(index)
        start = time.perf_counter()
        if not running:
            tracker.init(image, sequence.boxes[index])
            code, running = Code.STARTED, True
        else:
            box = np.asarray(tracker.update(image).box, np.float64)
            overlap = vot_overlap(box, truth[index], size)
            running = overlap > config.failure_overlap
            code = Code.TRACKED if running else Code.FAILED
        run.seconds[index] = time.perf_counter() - start
        run.codes[index] = code
        if code == Code.TRACKED:
            run.boxes[index], run.overlaps[index] = box, overlap
        index += config.skip if code == Code.FAILED else 1
    return run


def _equal(one: SupervisedRun, other: SupervisedRun) -> bool:
    return np.array_equal(one.codes, other.codes) and np.array_equal(one.boxes, other.boxes)


def _fragments(run: SupervisedRun) -> list[tuple[Overlaps, bool]]:
    """Returns the overlaps from each start on, and whether they end in a failure."""
    fragments = []
    for start in np.flatnonzero(run.codes == Code.STARTED):
        failed = start + np.flatnonzero(run.codes[start:] == Code.FAILED)
        end = failed[0] if len(failed) else len(run.codes)
        fragments.append((run.overlaps[start:end], len(failed) > 0))
    return fragments
