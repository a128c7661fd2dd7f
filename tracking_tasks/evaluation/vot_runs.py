"""The loop over sequences that VOT's two experiments share."""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from tqdm import tqdm

from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation.one_pass import Tracker

Run = TypeVar("Run")

# What is told the runs of a sequence as soon as they end, and what knows of earlier ones.
Keep: TypeAlias = Callable[[sequences_lib.Sequence, list[Run]], None]
Known: TypeAlias = Callable[[sequences_lib.Sequence], list[Run] | None]


def run_all(
    run: Callable[[Tracker, sequences_lib.Sequence], list[Run]],
    tracker: Tracker,
    sequences: Sequence[sequences_lib.Sequence],
    keep: Keep[Run],
    known: Known[Run],
) -> list[list[Run]]:
    """The runs of each sequence, showing a bar; those that are known are not done again.

    Args:
        run: makes the runs of a sequence.
        tracker: started anew for every run.
        sequences: any.
        keep: called with the runs of each sequence as soon as they end.
        known: the runs of a sequence that need not be done again, or None.
    """
    runs = []
    for sequence in tqdm(sequences, unit="sequence"):
        done = known(sequence)
        if not done:
            done = run(tracker, sequence)
            keep(sequence, done)
        runs.append(done)
    return runs
