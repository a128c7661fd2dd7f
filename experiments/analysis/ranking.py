"""Which of several methods is better, when all were judged on the same sequences with seeds.

Tests and critical differences of ranks as Demsar, "Statistical Comparisons of Classifiers over
Multiple Data Sets", JMLR 2006, sections 3.1.3 and 3.2.2.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiments.analysis.statistics import LEVEL, Scores


def paired_p(a: Scores, b: Scores) -> float:
    """The p-value of Wilcoxon's signed-rank test on each sequence's mean over the seeds.

    1 where no sequence tells them apart.
    """
    differences = a.mean(0) - b.mean(0)
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values made larger for the number of tests, by Holm's step-down method.

    Below 5 %, one of all errs at most once in twenty. Holm, "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
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
    quantile = stats.studentized_range.ppf(1 - LEVEL, k, np.inf) / np.sqrt(2)
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
