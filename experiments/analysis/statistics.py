"""Means with their uncertainty: 95 % intervals of two kinds.

By Student's t over values that are alike, one a seed; and by the bootstrap over seeds and sequences
(Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

Scores = Float[np.ndarray, "seeds sequences"]

LEVEL = 0.05  # of tests; intervals hold the rest
_RESAMPLES = 10_000


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half the width of its 95 % interval by Student's t.

    Args:
        values: one a seed.

    Returns:
        Mean and half-width; the half-width of a single value is infinite: one seed says nothing.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("inf")
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return mean, float(error * stats.t.ppf(1 - LEVEL / 2, len(values) - 1))


def summarize(values: Sequence[float]) -> dict[str, float | None]:
    """`mean_and_interval` for JSON: `mean` and `interval`, which is None for a single value."""
    mean, half_width = mean_and_interval(values)
    return {"mean": mean, "interval": half_width if math.isfinite(half_width) else None}


def show(summary: Mapping[str, float | None], digits: int) -> str:
    """A summary as text, such as "0.638 +- 0.012"."""
    spread = "?" if summary["interval"] is None else f"{summary['interval']:.{digits}f}"
    return f"{summary['mean']:.{digits}f} +- {spread}"


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
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(scores.mean()), float(low), float(high))
