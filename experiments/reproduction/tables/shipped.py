"""Trackers as they are shipped, meta-trained longest, with one thing changed in tracking.

`dimp_shipped`, `gradnet_shipped`, `metartt_shipped` and `roam_shipped` ask what the papers' tables
ask of trackers that are trained for minutes; no paper has `occlusion`. The filter that DiMP's
"Init" tracks with, and the params that MetaRTT's hand-tuned rates start from, are those of the
learned rule. A seed only draws the videos, and the frames that real sequences start at.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from experiments.meta_training.training import TrainingConfig
from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import (
    AUC,
    PRECISION,
    Ordering,
    Row,
    Score,
    Table,
)
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import meta_rtt
from experiments.reproduction.tables.roam import SGD_RATE, with_sgd
from tracking_tasks.trackers.dimp.tracker import DiMP
from tracking_tasks.trackers.dslt.tracker import DSLT
from tracking_tasks.trackers.gradnet.tracker import GradNet
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT
from tracking_tasks.trackers.roam.search import SearchConfig
from tracking_tasks.trackers.roam.tracker import ROAM

_SEEDS = {"smoke": 2, "small": 5, "full": 5}
_SIDE = TrainingConfig().renderer.side  # that of the meta-training of shipped weights
_SCORES = (AUC, PRECISION, Score("fps", "frames/s"))


@dataclasses.dataclass(frozen=True)
class _Shipped:
    """A row.

    Attributes:
        tracker: its class.
        rule: whose weights are taken; the tracker's own by default.
        constants: fields of its config that differ.
        sgd: rate of plain gradient descent after the first frame, for ROAM; 0 for none.
        steps: on the first frame and later, of gradient descent with momentum, for MetaRTT, in the
            place of its learned rates; None for those.
    """

    tracker: Any
    rule: str | None = None
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sgd: float = 0.0
    steps: tuple[int, int] | None = None


def _measure(
    runner: TableRunner, row: Row, seed: int, frames: int, looks: Mapping[str, Any]
) -> Measurement:
    setting: _Shipped = row.setting
    tracker: Any = runner.shipped(setting.tracker.name, setting.rule)
    tracker = tracker.replace(config=dataclasses.replace(tracker.config, **setting.constants))
    tracker = with_sgd(tracker, setting.sgd)
    if setting.steps is not None:
        tracker = meta_rtt.tuned_by_hand(tracker, *setting.steps)
    sizes = {"smoke": (1, 6), "small": (12, frames), "full": (100, 300)}
    videos = runner.held_out(sizes, side=_SIDE, **looks)
    rule = setting.rule or tracker.default_rule
    return runner.judge(tracker, rule, videos, seed, "shipped")


def _judged(frames: int, **looks: Any) -> Callable[[TableRunner, Row, int], Measurement]:
    """`Table.measure` on 12 videos of so many frames at the small scale, which look like this."""
    return functools.partial(_measure, frames=frames, looks=looks)


_GRADNET, _SIAMFC = "GradNet", "SiamFC"
_SEARCHES = {
    "ROAM++": {},
    "ROAM": {"search": dataclasses.replace(SearchConfig(), boxes="scales")},
}
# With SGD in the later updates of the shipped tracker, and in one that was meta-trained with it.
_RULES = (
    ("", None, 0.0),
    (", SGD", None, SGD_RATE),
    (", SGD throughout", "gradient_descent", 0.0),
)
# The constants that say from which score on a frame is learned from, as they were published.
_PUBLISHED: dict[Any, Mapping[str, Any]] = {
    DSLT: {"update_threshold": 0.0},
    ROAM: {"lost_threshold": 0.1},
    MetaRTT: meta_rtt.PUBLISHED,
}

TABLES = (
    Table(
        name="gradnet_shipped",
        title="Does one gradient through a network improve on a fixed template?",
        source="Li et al. 2019, Table 3",
        rows=(
            Row(_GRADNET, {"auc": 63.9, "precision20": 86.1, "fps": 80.0}, _Shipped(GradNet)),
            Row(
                _SIAMFC, {"auc": 58.2, "precision20": 77.1, "fps": 94.0}, _Shipped(GradNet, "none")
            ),
        ),
        orderings=tuple(Ordering(_GRADNET, _SIAMFC, score) for score in ("auc", "precision20")),
        seeds=_SEEDS,
        measure=_judged(60),
        scores=_SCORES,
    ),
    Table(
        name="dimp_shipped",
        title="Does steepest descent improve on the initial filter?",
        source="Bhat et al. 2019, Table 1",
        rows=(
            Row("Init", {"auc": 58.2}, _Shipped(DiMP, "none")),
            Row("SD", {"auc": 63.8}, _Shipped(DiMP)),
        ),
        orderings=(Ordering("SD", "Init"),),
        seeds=_SEEDS,
        measure=_judged(60),
        scores=_SCORES,
    ),
    Table(
        name="metartt_shipped",
        title="Do learned rates track with fewer steps than rates tuned by hand?",
        source="Jung et al. 2020, Table 2",
        rows=(
            Row("MetaRTT 5/5", {"auc": 65.5, "precision20": 89.0, "fps": 58.0}, _Shipped(MetaRTT)),
            *(
                Row(
                    f"SGD {first}/{later}",
                    {"auc": auc, "precision20": precision, "fps": fps},
                    _Shipped(MetaRTT, steps=(first, later)),
                )
                for first, later, auc, precision, fps in (
                    (50, 15, 65.0, 88.5, 42.0),
                    (5, 5, 57.8, 77.5, 55.0),
                )
            ),
        ),
        orderings=(
            Ordering("MetaRTT 5/5", "SGD 50/15"),
            Ordering("MetaRTT 5/5", "SGD 5/5"),
            Ordering("SGD 50/15", "SGD 5/5"),
            Ordering("MetaRTT 5/5", "SGD 50/15", "fps"),
        ),
        seeds=_SEEDS,
        measure=_judged(60),
        scores=_SCORES,
    ),
    Table(
        name="occlusion",
        title="Should a tracker wait, learning nothing, while its target scores badly?",
        source="this project",
        rows=tuple(
            Row(f"{tracker.__name__}{name}", setting=_Shipped(tracker, constants=constants))
            for tracker, published in _PUBLISHED.items()
            for name, constants in ((", waiting", {}), (", as published", published))
        ),
        orderings=tuple(
            Ordering(f"{tracker.__name__}, waiting", f"{tracker.__name__}, as published", score)
            for tracker in _PUBLISHED
            for score in ("auc", "precision20")
        ),
        seeds=_SEEDS,
        measure=_judged(120, occluder=1.0, occluders=5, fast_move=0.0, leave=0.0),
        scores=_SCORES,
    ),
    Table(
        name="roam_shipped",
        title="Does the recurrent optimizer track better than SGD at equal steps?",
        source="Yang et al. 2020, Figure 5, left",
        rows=tuple(
            Row(f"{name}{suffix}", setting=_Shipped(ROAM, rule, constants, rate))
            for name, constants in _SEARCHES.items()
            for suffix, rule, rate in _RULES
        ),
        orderings=tuple(
            Ordering(name, f"{name}{suffix}", score)
            for name in _SEARCHES
            for suffix, _, _ in _RULES[1:]
            for score in ("auc", "precision20")
        ),
        seeds=_SEEDS,
        measure=_judged(120),
        scores=_SCORES,
    ),
)
