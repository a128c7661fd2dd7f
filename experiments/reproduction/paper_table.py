"""What a table or a measured figure of a paper is, so that `experiments.reproduce` can redo it.

A file of `reproduction/tables/` describes one paper, or one table, as data: the paper's rows and
numbers, which orderings it claims, and one function that measures a row with a seed. Everything
else (resuming, statistics, verdicts, plots) is shared.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from experiments.reproduction.measurement import REAL, Measurement
from experiments.reproduction.table_runner import TableRunner

SCALES = ("smoke", "small", "full")


@dataclasses.dataclass(frozen=True)
class Score:
    """A number that is measured for each row.

    Attributes:
        name: key of `Measurement.scores` and of `Row.paper`.
        label: heading, with the unit.
        factor: from our unit to that of the heading; 100 for a share shown in percent.
        higher_is_better: what `Ordering` means by better.
        digits: decimals to show.
    """

    name: str
    label: str
    factor: float = 1.0
    higher_is_better: bool = True
    digits: int = 2


AUC = Score("auc", "AUC (%)", 100.0)
PRECISION = Score("precision20", "precision at 20 px (%)", 100.0)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the paper's table, or a curve of its figure.

    Attributes:
        name: as the paper calls it.
        paper: the paper's numbers by the name of the score, in the unit of `Score.label`; empty
            where it gives none.
        setting: whatever `Table.measure` needs to know of the row.
    """

    name: str
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    setting: Any = None


@dataclasses.dataclass(frozen=True)
class Ordering:
    """The paper's claim that one row is better than another, by one score."""

    better: str
    worse: str
    score: str = "auc"


@dataclasses.dataclass(frozen=True)
class Curve:
    """A figure in which each row is a curve or a histogram.

    Attributes:
        name: key of `Measurement.curves`; the plot is `<name>.png`.
        xlabel, ylabel: of the axes, with units.
        yscale: "linear" or "log".
        histogram: the x of a measurement are then the edges of bins, one more than the y.
    """

    name: str
    xlabel: str
    ylabel: str
    yscale: str = "linear"
    histogram: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table or figure of a paper.

    Attributes:
        name: for --table.
        title: what it asks, in a few words.
        source: the paper, and the number of the table.
        rows: in the paper's order.
        orderings: what the paper claims.
        seeds: default number of seeds at each of `SCALES`.
        measure: `measure(runner, row, seed)` trains and judges, at the size of `runner.scale`. Rows
            of one seed must share episodes and videos, for the differences are paired by seed.
        scores: what is shown.
        curves: further plots.
    """

    name: str
    title: str
    source: str
    rows: tuple[Row, ...]
    orderings: tuple[Ordering, ...]
    seeds: Mapping[str, int]
    measure: Callable[[TableRunner, Row, int], Measurement]
    scores: tuple[Score, ...] = (AUC,)
    curves: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for an ordering of unknown rows or scores, or a scale without seeds."""
        rows = {row.name for row in self.rows}
        scores = {score.name for score in self.scores}
        for ordering in self.orderings:
            if not {ordering.better, ordering.worse} <= rows or ordering.score not in scores:
                raise ValueError(f"{self.name}: {ordering} is not about its rows and scores")
        if set(self.seeds) != set(SCALES):
            raise ValueError(f"{self.name}: needs a number of seeds for each of {SCALES}")

    def all_scores(self) -> tuple[Score, ...]:
        """Its scores, and the same on real sequences."""
        real = (
            dataclasses.replace(each, name=f"{REAL}{each.name}", label=f"{each.label}, real video")
            for each in self.scores
        )
        return (*self.scores, *real)
