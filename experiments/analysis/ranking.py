"""Which of several methods is better, when all were judged on the same sequences with seeds.

Intervals by the bootstrap over seeds and sequences (Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13), tests and critical differences of ranks as Demsar, "Statistical
Comparisons of Classifiers over Multiple Data Sets", JMLR 2006, sections 3.1.3 and 3.2.2.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

Scores = Float[np.ndarray, "seeds sequences"]

_RESAMPLES = 10_000
_LEVEL = 0.05


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(scores: Scores, seed: int = 0) -> Interval:
    """The mean of all scores; the interval is over resampled seeds and, within each, sequences.

    The sequences are drawn once for all seeds of a resample, since a hard one is hard for all.

    Args:
        scores: NaN-free.
        seed: of the resampling.
    """
    seeds, sequences = scores.shape
    random = np.random.default_rng(seed)
    rows = random.integers(seeds, size=(_RESAMPLES, seeds))
    columns = random.integers(sequences, size=(_RESAMPLES, sequences))
    counts = lambda drawn, n: np.stack([(drawn == i).sum(1) for i in range(n)], 1) / n
    means = np.einsum("rs,st,rt->r", counts(rows, seeds), scores, counts(columns, sequences))
    low, high = np.quantile(means, [_LEVEL / 2, 1 - _LEVEL / 2])
    return Interval(float(scores.mean()), float(low), float(high))


def paired_p(a: Scores, b: Scores) -> float:
    """The p-value of Wilcoxon's signed-rank test on each sequence's mean over the seeds.

    1 where no sequence tells them apart.
    """
    differences = a.mean(0) - b.mean(0)
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values made larger for the number of tests, by Holm's step-down method."""
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected.tolist()


class Ranking(NamedTuple):
    """Methods by their mean rank over the sequences.

    Attributes:
        ranks: of each method, 1 for one that is best on every sequence; the best first.
        critical_difference: mean ranks that differ by less do not differ at the level of 5 %
            (Nemenyi's test).
        groups: largest runs of methods, in the order of `ranks`, none of which differs from
            another by as much.
        friedman_p: of the test that all are equal; None for fewer than three.
    """

    ranks: dict[str, float]
    critical_difference: float
    groups: list[list[str]]
    friedman_p: float | None


def rank(scores: Mapping[str, Scores]) -> Ranking:
    """Ranks methods by their scores on each sequence, the higher the better.

    Args:
        scores: of at least two methods, on the same sequences; ranked by the means over the seeds.
    """
    names = list(scores)
    means = np.stack([each.mean(0) for each in scores.values()])
    ranks = stats.rankdata(-means, axis=0).mean(1)
    order = np.argsort(ranks, kind="stable")
    k, n = means.shape
    quantile = stats.studentized_range.ppf(1 - _LEVEL, k, np.inf) / np.sqrt(2)
    difference = float(quantile * np.sqrt(k * (k + 1) / (6 * n)))
    p = float(stats.friedmanchisquare(*means).pvalue) if k > 2 else None
    sorted_ranks = {names[i]: float(ranks[i]) for i in order}
    return Ranking(sorted_ranks, difference, _groups(sorted_ranks, difference), p)


def _groups(ranks: Mapping[str, float], difference: float) -> list[list[str]]:
    names, groups = list(ranks), []
    end = 0
    for start, name in enumerate(names):
        last = max(i for i, other in enumerate(names) if ranks[other] - ranks[name] < difference)
        if last + 1 > end and last > start:
            groups.append(names[start : last + 1])
        end = max(end, last + 1)
    return groups
