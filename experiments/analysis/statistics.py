"""Means with their uncertainty."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats


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
    return mean, float(error * stats.t.ppf(0.975, len(values) - 1))


def summarize(values: Sequence[float]) -> dict[str, float | None]:
    """`mean_and_interval` for JSON: `mean` and `interval`, which is None for a single value."""
    mean, half_width = mean_and_interval(values)
    return {"mean": mean, "interval": half_width if math.isfinite(half_width) else None}


def show(summary: Mapping[str, float | None], digits: int) -> str:
    """A summary as text, such as "0.638 +- 0.012"."""
    spread = "?" if summary["interval"] is None else f"{summary['interval']:.{digits}f}"
    return f"{summary['mean']:.{digits}f} +- {spread}"
