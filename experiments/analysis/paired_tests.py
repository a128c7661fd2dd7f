"""Whether one row is better than another: paired differences, their error and their p.

Differences are averaged over targets and seeds. How far the mean can be trusted depends on what
was drawn: with other videos at every seed, the seeds are the sample; with the same targets at
every seed, seeds and targets are both, and the two parts of the error add up (Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 2007, section 2), at the degrees of freedom of
Satterthwaite ("An approximate distribution of estimates of variance components", Biometrics 1946).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from experiments.analysis.statistics import LEVEL

Differences = Float[np.ndarray, "seeds targets"]


class Estimate(NamedTuple):
    """A mean, its standard error, and the degrees of freedom of Student's t.

    Where the error is unknown, as of a single value, it is infinite.
    """

    mean: float
    error: float
    freedom: float

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval."""
        if not math.isfinite(self.error):
            return math.inf
        return float(self.error * stats.t.ppf(1 - LEVEL / 2, self.freedom))

    @property
    def p(self) -> float:
        """Of the mean being zero, two-sided; 1 where nothing can be said."""
        if not math.isfinite(self.error) or not math.isfinite(self.mean):
            return 1.0
        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))


def over(values: Sequence[float]) -> Estimate:
    """The mean of independent values, such as those of seeds that each draw other videos."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Estimate(mean, math.inf, 1.0)
    return Estimate(mean, float(np.std(values, ddof=1) / math.sqrt(count)), count - 1.0)


def over_seeds_and_targets(differences: Differences, trained: bool) -> Estimate:
    """The mean over the same targets at every seed, with the error of both.

    Args:
        differences: of every target at every seed.
        trained: whether a seed trained a tracker of its own. Then one seed says nothing; otherwise
            it says what there is to say of its targets.
    """
    by_seed, by_target = over(differences.mean(1).tolist()), over(differences.mean(0).tolist())
    if len(differences) == 1 and not trained:
        return by_target
    squares = by_seed.error**2, by_target.error**2
    if not np.isfinite(squares).all() or not any(squares):
        return Estimate(by_seed.mean, math.sqrt(sum(squares)), 1.0)
    parts = zip(squares, (by_seed.freedom, by_target.freedom), strict=True)
    freedom = sum(squares) ** 2 / sum(square**2 / each for square, each in parts)
    return Estimate(by_seed.mean, math.sqrt(sum(squares)), float(freedom))
