"""Means with their uncertainty."""

from collections.abc import Sequence

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
