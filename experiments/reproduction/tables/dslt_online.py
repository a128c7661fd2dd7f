"""What this project changes in DSLT online: learned rules of few steps.

No paper has this table.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta_training.runner import Videos
from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import (
    AUC,
    PRECISION,
    Ordering,
    Row,
    Score,
    Table,
)
from experiments.reproduction.table_runner import Recipe, TableRunner
from tracking_tasks.episode import Frame
from tracking_tasks.trackers.dslt.config import DSLTConfig
from tracking_tasks.trackers.dslt.tracker import DSLT

_SEEDS = {"smoke": 2, "small": 5, "full": 5}
_VIDEOS = {"smoke": (1, 6), "small": (8, 50), "full": (100, 300)}  # and frames of each
_ADAM = "Adam until convergence"
_FEW_STEPS = "5 steps of steepest descent"


def _tracker(runner: TableRunner, rule: str, seed: int) -> DSLT:
    """The tracker with one rule, meta-trained if it is a learned one."""
    outer_loop = runner.outer_loop
    config = DSLTConfig(crop_size=outer_loop.episode.crop_size)
    tracker: Any
    if runner.takes_shipped:
        tracker = runner.shipped(DSLT.name, rule)
    elif rule == DSLT.default_rule:
        tracker = runner.untrained(DSLT.name, rule, config)
    else:
        tracker = runner.make(Recipe(DSLT.name, rule, config, outer_loop), seed)
    return tracker


def _videos(runner: TableRunner, tracker: DSLT) -> Videos:
    """Held-out videos in which a target is as large as in the tracker's episodes."""
    training = runner.outer_loop
    side = training.renderer.side * tracker.config.crop_size // training.episode.crop_size
    return runner.held_out(_VIDEOS, side=side)


def _measure_rule(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """The row is an inner optimizer."""
    tracker = _tracker(runner, row.setting, seed)
    videos = _videos(runner, tracker)
    see, fit = jax.jit(DSLT.first_samples), jax.jit(DSLT.first_fit)
    seconds, steps = [], []
    for video in runner.videos(videos, seed):
        image = jnp.asarray(video.frame(0))
        frame = Frame(image, jnp.array(image.shape[1::-1]))
        samples = see(tracker, frame, jnp.asarray(video.boxes[0]))
        jax.block_until_ready(fit(tracker, samples))  # the first call compiles
        start = time.perf_counter()
        steps.append(int(fit(tracker, samples).steps))
        seconds.append(time.perf_counter() - start)
    judged = runner.judge(tracker, row.setting, videos, seed, runner.longest_trained)
    fps = next(value for name, value in judged.scores.items() if name.endswith("fps"))
    fits = {"fit_steps": float(np.mean(steps)), "fit_ms": 1e3 * float(np.median(seconds))}
    return judged.beside(Measurement(fits | {"update_ms": 1e3 / fps}))


TABLES = (
    Table(
        name="dslt_rules",
        title="Do 5 steps from meta-learned filters track as well as Adam, and how much faster?",
        source="this project",
        rows=(
            Row(_ADAM, setting="adam"),
            Row(_FEW_STEPS, setting="steepest_descent"),
        ),
        orderings=tuple(
            Ordering(_FEW_STEPS, _ADAM, score) for score in ("auc", "fit_ms", "update_ms")
        ),
        seeds=_SEEDS,
        measure=_measure_rule,
        scores=(
            AUC,
            PRECISION,
            Score("fit_steps", "steps of the first fit", higher_is_better=False),
            Score("fit_ms", "first fit (ms)", higher_is_better=False),
            Score("update_ms", "update (ms)", higher_is_better=False),
            Score("fps", "frames/s"),
        ),
    ),
)
