"""GradNet as it is shipped beside its SiamFC baseline, meta-trained on the same episodes.

What the paper's Table 3 asks of trackers that are trained for minutes, of those that are trained
longest. A seed only draws the videos.
"""

from experiments.lab import Lab
from experiments.paper_table import AUC, PRECISION, Measurement, Ordering, Row, Score, Table
from experiments.training import TrainingConfig
from tracking_tasks.trackers.gradnet import GradNet

_OURS, _BASELINE = "GradNet", "SiamFC"
_SEEDS = {"smoke": 2, "small": 5, "full": 5}
_VIDEOS = {"smoke": (1, 6), "small": (12, 60), "full": (100, 300)}  # and frames of each
_SIDE = TrainingConfig().renderer.side  # that of the meta-training of shipped weights


def _measure(lab: Lab, row: Row, seed: int) -> Measurement:
    """The row is an inner optimizer."""
    videos = lab.held_out(_VIDEOS, side=_SIDE)
    tracker = lab.shipped(GradNet.name, row.setting)
    return Measurement(lab.judge(tracker, row.setting, videos, seed))


TABLES = (
    Table(
        name="gradnet_shipped",
        title="Does one gradient through a network improve on a fixed template?",
        source="Li et al. 2019, Table 3",
        rows=(
            Row(_OURS, {"auc": 63.9, "precision20": 86.1, "fps": 80.0}, GradNet.default_rule),
            Row(_BASELINE, {"auc": 58.2, "precision20": 77.1, "fps": 94.0}, "none"),
        ),
        orderings=(Ordering(_OURS, _BASELINE), Ordering(_OURS, _BASELINE, "precision20")),
        seeds=_SEEDS,
        measure=_measure,
        scores=(AUC, PRECISION, Score("fps", "frames/s")),
    ),
)
