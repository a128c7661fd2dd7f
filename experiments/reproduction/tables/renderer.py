"""What carries over from rendered videos to real ones: ablation of this project's renderer.

No paper has this table; what it claims is what the renderer was built for. The claims are decided
on real sequences (--dataset_dir), the held-out rendered videos stand beside them.
"""

import dataclasses

from experiments.meta_training.policies import comparison_config
from experiments.meta_training.runner import Videos
from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import AUC, PRECISION, Ordering, Row, Table
from experiments.reproduction.table_runner import Recipe, TableRunner
from tracking_tasks.trackers import Tracker
from tracking_tasks.trackers.dimp.tracker import DiMP

_STEPS = {"smoke": 2, "small": 80, "full": 3000}  # outer steps
_VIDEOS = {"smoke": (1, 6), "small": (8, 40), "full": (100, 100)}  # held out, and their frames


def _measure(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """The row is what differs from the renderer's default while training; None is no training."""
    outer_loop = dataclasses.replace(runner.outer_loop, outer_steps=_STEPS[runner.scale])
    config = comparison_config(DiMP.name, outer_loop.episode.crop_size)
    rule = DiMP.default_rule
    if row.setting is None:
        tracker: Tracker = runner.untrained(DiMP.name, rule, config)
    else:
        looks = dataclasses.replace(outer_loop.renderer, **row.setting)
        recipe = Recipe(DiMP.name, rule, config, dataclasses.replace(outer_loop, renderer=looks))
        tracker = runner.make(recipe, seed)
    videos = Videos(outer_loop.renderer, *_VIDEOS[runner.scale])
    return runner.judge(tracker, rule, videos, seed)


TABLES = (
    Table(
        name="renderer",
        title="Which rendered videos teach what carries over to real ones?",
        source="this project",
        rows=(
            Row("nothing learned"),
            Row("in place only", setting={"in_place": 1.0}),
            Row("composed only", setting={"in_place": 0.0}),
            Row("both", setting={}),
            Row("both, no look-alikes", setting={"distractor": 0.0}),
        ),
        orderings=(
            Ordering("in place only", "nothing learned"),
            Ordering("composed only", "nothing learned"),
            Ordering("both", "nothing learned"),
            Ordering("both", "in place only"),
            Ordering("both", "composed only"),
            Ordering("both", "both, no look-alikes"),
        ),
        seeds={"smoke": 2, "small": 3, "full": 5},
        measure=_measure,
        scores=(AUC, PRECISION),
    ),
)
