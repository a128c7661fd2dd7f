"""By how much one tracker is better than another on the same sequences, and how sure that is."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from experiments.analysis.statistics import show, summarize
from tracking_tasks.data import sequences as sequences_lib


def to_first(
    scores: Mapping[str, Mapping[str, float]], runs: Sequence[sequences_lib.Sequence], whole: int
) -> dict[str, dict[str, Any]]:
    """The `paired_difference` of every other tracker to the first.

    Args:
        scores: by tracker and name of the run.
        runs: all, also those that not everyone has a score of, sequence by sequence.
        whole: number of sequences, each of which has as many runs.
    """
    tables = {
        name: np.array([each.get(run.name, np.nan) for run in runs]).reshape(whole, -1)
        for name, each in scores.items()
    }
    (_, reference), *others = tables.items()
    return {name: paired_difference(each, reference) for name, each in others}


def paired_difference(
    scores: Float[np.ndarray, "sequences starts"], reference: Float[np.ndarray, "sequences starts"]
) -> dict[str, Any]:
    """The mean of `scores - reference`, sequences counting alike, with two 95 % intervals.

    That over sequences says what to expect on other sequences, that over starts what to expect
    from other starts on these.

    Args:
        scores: of one tracker; NaN where there is no run.
        reference: of another one, on the same runs.

    Returns:
        `mean`; `sequences` and `starts`, their numbers; `over_sequences` and `over_starts`, half
        the width of the interval by Student's t, None where there is only one.
    """
    differences = scores - reference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a sequence or start without any run
        by_sequence, by_start = (np.nanmean(differences, axis) for axis in (1, 0))
    by_sequence, by_start = (each[np.isfinite(each)] for each in (by_sequence, by_start))
    over_sequences = summarize(by_sequence.tolist())
    return {
        "mean": over_sequences["mean"],
        "sequences": len(by_sequence),
        "over_sequences": over_sequences["interval"],
        "starts": len(by_start),
        "over_starts": summarize(by_start.tolist())["interval"],
    }


def describe(difference: dict[str, Any]) -> str:
    """A `paired_difference` as text, such as "0.014 +- 0.031 over 7 sequences, ..."."""
    over = lambda what: (
        show({"mean": difference["mean"], "interval": difference[f"over_{what}"]}, 3)
        + f" over {difference[what]} {what}"
    )
    return over("sequences") + (f", {over('starts')}" if difference["starts"] > 1 else "")
