"""The run of a matrix of trials: those that are not finished, wherever the flags say."""

import functools
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from experiments.matrix import trial, trial_runner
from experiments.matrix.matrix_flags import MatrixFlags
from experiments.runs import executors


class Outcome(NamedTuple):
    """What a run gave.

    Attributes:
        metadata: the full configuration, versions and revision.
        results: of the finished trials, in the order of the matrix.
        failures: why the others failed, by the name of the trial.
    """

    metadata: dict[str, Any]
    results: list[dict[str, Any]]
    failures: dict[str, str]


def run(flags: MatrixFlags, trackers: Sequence[str]) -> Outcome:
    """Runs every trial that is not finished, with a progress bar; failures are reported.

    Raises:
        InputError: a flag is wrong, or the folder holds another run, or one and no --resume.
    """
    wanted = flags.trials(trackers)
    conditions = flags.conditions(trackers)
    metadata = flags.lock(conditions)
    done = trial.finished(conditions.folder, wanted) if flags.resume else {}
    missing = [each for each in wanted if each not in done]
    failures: dict[str, str] = {}
    make = functools.partial(trial_runner.trial_runner, conditions, flags.resume)
    outcomes = executors.run(make, missing, *flags.executor)
    bar = tqdm(outcomes, "trials", initial=len(done), total=len(wanted), unit="trial")
    for each, result, failure in bar:
        if failure is None:
            done[each] = result
        else:
            failures[str(each)] = failure
            print(f"{each} failed: {failure}", file=sys.stderr)
    return Outcome(metadata, [done[each] for each in wanted if each in done], failures)
