"""Many short runs of each target, for choices: other starts, other first boxes, worse video.

One pass over a few targets decides nothing: a target that is barely held is lost by any small
change and found by the next. Here each target makes several trials, drawn once for all trackers, so
that two of them are compared on equal terms, target by target and trial by trial.
"""

import dataclasses
import itertools
import pathlib
import zlib

import numpy as np

from tracking_tasks.data.degraded_copies import HIDDEN, KINDS, degraded_copy
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import otb_starts

CLEAN = "clean"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of one target.

    Attributes:
        target: the name of the sequence.
        number: of the trial, from 0.
        start: number of the frame that it starts from, one of those of OTB's temporal robustness.
        frames: how many it lasts.
        perturbation: number of the first box of OTB's spatial robustness; None is the true box.
        kind: what was done to the video, one of `KINDS`, "hidden", or "clean".
    """

    target: str
    number: int
    start: int
    frames: int
    perturbation: int | None
    kind: str

    @property
    def name(self) -> str:
        """Unique among the trials of all targets."""
        return f"{self.target}_{self.number:02d}_{self.kind}"


def draw(sequence: Sequence, count: int, frames: int, seed: int = 0) -> list[Trial]:
    """The trials of a target; more of them begin with the same.

    The first is one pass over the whole sequence from the first true box, the second such a pass in
    which the target is hidden now and then. Of each four that follow, the first two see a degraded
    copy, the second and the third start from a perturbed box.

    Args:
        sequence: the whole sequence.
        count: number of trials.
        frames: the greatest length of all but the first two. Starts that leave less than that, or
            than half the sequence where it is shorter, are not drawn.
        seed: of the draws.

    Raises:
        InputError: the sequence is too short for OTB's temporal robustness.
    """
    name = zlib.crc32(sequence.name.encode())
    shortest = min(frames, len(sequence) // 2)
    later = [len(sequence) - len(run) for run in otb_starts.temporal(sequence)]
    starts = [start for start in later if len(sequence) - start >= shortest] or [later[0]]
    whole = [
        Trial(sequence.name, number, later[0], len(sequence) - later[0], None, kind)
        for number, kind in enumerate((CLEAN, HIDDEN))
    ]
    trials = []
    for number in range(count - len(whole)):
        random = np.random.default_rng([seed, name, number])
        start = int(random.choice(starts))
        box = int(random.integers(12)) if number % 4 in (1, 2) else None
        turn, part = divmod(number, 4)
        kind = list(KINDS)[(name + 2 * turn + part) % len(KINDS)] if part < 2 else CLEAN
        length = min(frames, len(sequence) - start)
        trials.append(Trial(sequence.name, number + len(whole), start, length, box, kind))
    return (whole + trials)[:count]


def video(sequence: Sequence, trial: Trial, folder: pathlib.Path) -> Sequence:
    """The sequence that a tracker is run through in a trial, in one pass.

    Args:
        sequence: the whole sequence of the target.
        trial: one of it.
        folder: for degraded copies, see `degraded_copy`.

    Raises:
        InputError: a frame cannot be read.
    """
    part = range(trial.start, trial.start + trial.frames)
    if trial.kind != CLEAN:
        sequence = degraded_copy(sequence, trial.kind, folder, part)
    run = otb_starts.part(sequence, part, trial.name)
    if trial.perturbation is None:
        return run
    perturbed = next(itertools.islice(otb_starts.spatial(run), trial.perturbation, None))
    return dataclasses.replace(perturbed, name=trial.name)
