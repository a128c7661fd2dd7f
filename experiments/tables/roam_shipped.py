"""ROAM and ROAM++ as they are shipped, beside the same trackers with SGD in later updates.

What the paper's Figure 5 asks of trackers that are trained for minutes, of those that are trained
longest. A seed only draws the videos.
"""

import dataclasses

from experiments.lab import Lab
from experiments.paper_table import AUC, PRECISION, Measurement, Ordering, Row, Score, Table
from experiments.tables.roam import SGD_RATE, with_sgd
from experiments.training import TrainingConfig
from tracking_tasks.trackers.roam import ROAM

_SEEDS = {"smoke": 2, "small": 5, "full": 5}
_VIDEOS = {"smoke": (1, 6), "small": (12, 120), "full": (100, 300)}  # and frames of each
_SIDE = TrainingConfig().renderer.side  # that of the meta-training of shipped weights


def _measure(lab: Lab, row: Row, seed: int) -> Measurement:
    """The row is `SearchConfig.boxes`, and whether SGD takes over after the first frame."""
    boxes, sgd = row.setting
    tracker = lab.shipped(ROAM.name)
    assert isinstance(tracker, ROAM)
    search = dataclasses.replace(tracker.config.search, boxes=boxes)
    tracker = tracker.replace(config=dataclasses.replace(tracker.config, search=search))
    tracker = with_sgd(tracker, SGD_RATE) if sgd else tracker
    videos = lab.held_out(_VIDEOS, side=_SIDE)
    return Measurement(lab.judge(tracker, ROAM.default_rule, videos, seed))


TABLES = (
    Table(
        name="roam_shipped",
        title="Does the recurrent optimizer track better than SGD at equal steps?",
        source="Yang et al. 2020, Figure 5, left",
        rows=(
            Row("ROAM++", setting=("regression", False)),
            Row("ROAM++, SGD", setting=("regression", True)),
            Row("ROAM", setting=("scales", False)),
            Row("ROAM, SGD", setting=("scales", True)),
        ),
        orderings=tuple(
            Ordering(name, f"{name}, SGD", score)
            for name in ("ROAM++", "ROAM")
            for score in ("auc", "precision20")
        ),
        seeds=_SEEDS,
        measure=_measure,
        scores=(AUC, PRECISION, Score("fps", "frames/s")),
    ),
)
