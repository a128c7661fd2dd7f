"""How many seeds or targets a table needs, from a pilot of two seeds, before it is run to count."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from experiments.analysis.statistics import LEVEL
from experiments.reproduction import record
from experiments.reproduction.measurement import REAL
from experiments.reproduction.paper_table import Ordering, Score, Table
from experiments.reproduction.record import Record

PILOT_SEEDS = (
    18,
    19,
)  # the last that real sequences have starts for: a run that counts takes others
POWER = 0.8
_MOST = 100_000


def needed(effect: float, deviation: float, tests: int) -> int:
    """How many independent differences show an effect in four of five runs.

    By the noncentral t distribution (Cohen, "Statistical Power Analysis for the Behavioral
    Sciences", 1988, chapter 2), at the level that Holm's correction gives the first of the tests.

    Args:
        effect: the true mean of the differences.
        deviation: their standard deviation.
        tests: orderings of the table.

    Returns:
        At least 2, and at most 100,000, which stands for any more.
    """
    level = LEVEL / tests
    shown = lambda count: _power(abs(effect) / max(deviation, 1e-12), count, level) >= POWER
    low, high = 1, 2
    while not shown(high):
        low, high = high, 2 * high
        if high > _MOST:
            return _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def _power(size: float, count: int, level: float) -> float:
    """Of the two-sided test of so many differences, an effect of `size` deviations."""
    bound = stats.t.ppf(1 - level / 2, count - 1)
    if size * math.sqrt(count) > bound + 30:
        return 1.0  # the noncentral t has no values that far out
    return float(stats.nct.sf(bound, count - 1, size * math.sqrt(count)))


def plan(table: Table, pilot: Record) -> str:
    """What each ordering of the table needs, as text.

    Args:
        table: to be run.
        pilot: its record of `PILOT_SEEDS`.
    """
    by_row: dict[str, list[Mapping[str, Any]]] = {row.name: [] for row in table.rows}
    for trial in pilot["trials"]:
        by_row[trial["row"]].append(trial)
    scores = {score.name: score for score in record.measured_scores(table, by_row)}
    lines = [f"{table.name}, from a pilot of two seeds ({pilot['seconds'] / 60:.1f} minutes):"]
    for order in pilot["orderings"]:
        ordering = Ordering(order["better"], order["worse"], order["score"].removeprefix(REAL))
        lines.append(_line(table, pilot, by_row, ordering, scores[order["score"]]))
    return "\n".join(lines)


def _line(
    table: Table, pilot: Record, trials: record.Trials, ordering: Ordering, score: Score
) -> str:
    differences, trained = record.differences(trials, ordering, score)
    over_seeds = trained or differences.shape[1] == 1
    unit, values = "seeds", differences.mean(1)
    if not over_seeds:
        unit = "targets"
        values = differences.mean(0) if score.name.startswith(REAL) else differences.ravel()
    deviation = float(np.std(values, ddof=1))
    paper = {row.name: row.paper.get(ordering.score) for row in table.rows}
    better, worse = paper[ordering.better], paper[ordering.worse]
    if better is None or worse is None:
        effect, whose = deviation, "one deviation, for the paper gives no size"
    else:
        effect, whose = abs(better - worse), "the paper's"
    count = needed(effect, deviation, len(pilot["orderings"]))
    share = count / (len(values) if unit == "targets" else len(differences))
    digits, share = score.digits, share * pilot["seconds"] / 60
    return (
        f"  {ordering.better} over {ordering.worse}, {score.label}: deviation "
        f"{deviation:.{digits}f} over {len(values)} {unit}; an effect of {effect:.{digits}f} "
        f"({whose}) needs {count} {unit}, about {share:.0f} minutes"
    )
