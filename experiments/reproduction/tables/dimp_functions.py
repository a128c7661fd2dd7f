"""Figure 3 of DiMP: the label, mask and weight that it learns, after little and much training.

The paper's weight rises at the target's centre and falls in the transition to the background.
"""

from typing import cast

import numpy as np

from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import Curve, Ordering, Row, Score, Table
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import dimp
from tracking_tasks.trackers.dimp.tracker import DiMP

_RULE = "steepest_descent"


def _measure(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """The row says how the tracker was trained."""
    config = dimp.comparison(runner)
    if row.setting == "shipped":
        tracker = cast(DiMP, runner.shipped("dimp"))
    elif row.setting == "trained":
        tracker = cast(DiMP, runner.make(dimp.recipe(runner, _RULE), seed))
    else:
        tracker = cast(DiMP, runner.untrained("dimp", _RULE, config))
    curves = {
        name.replace(" ", "_"): (x.tolist(), y.tolist())
        for name, (x, y) in tracker.learned_functions().items()
    }
    distance, weight = map(np.array, curves["spatial_weight"])
    edge = tracker.config.target_cells / 2
    center, transition = weight[0], np.interp(edge, distance, weight)
    scores = {"center": float(center), "rise": float(center - transition)}
    return Measurement(scores, curves, trained=row.setting == "trained")


TABLES = (
    Table(
        name="dimp_functions",
        title="Which label, mask and weight are learned?",
        source="Bhat et al. 2019, Figure 3",
        rows=(
            Row("initial"),
            Row("trained as in dimp1", setting="trained"),
            Row("shipped, 1000 steps", setting="shipped"),
        ),
        orderings=(
            Ordering("trained as in dimp1", "initial", "center"),
            Ordering("trained as in dimp1", "initial", "rise"),
        ),
        seeds={"smoke": 2, "small": 3, "full": 5},
        measure=_measure,
        scores=(
            Score("center", "weight at the centre", digits=3),
            Score("rise", "weight at the centre - at the target's edge", digits=3),
        ),
        curves=tuple(
            Curve(name, "distance to the target's centre, cells", name.replace("_", " "))
            for name in ("label", "target_mask", "spatial_weight")
        ),
    ),
)
