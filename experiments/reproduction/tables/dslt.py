"""DSLT's ablations: Lu et al., "Deep Regression Tracking with Shrinkage Loss", ECCV 2018.

The paper measures on OTB-2015, once. Of its figures only the numbers that its text repeats are
known here. Nothing is meta-trained in its tracker, so the seeds are those of the videos.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import metaopt
import tracking_tasks
from basics.errors import InputError
from experiments.reproduction.earlier_levels import Levels34, Levels35
from experiments.reproduction.measurement import Measurement, of_targets
from experiments.reproduction.paper_table import (
    AUC,
    PRECISION,
    Curve,
    Ordering,
    Row,
    Score,
    Table,
)
from experiments.reproduction.table_runner import TableRunner
from models import EfficientNetLite0
from tracking_tasks.episode import Frame
from tracking_tasks.trackers.dslt.config import DSLTConfig
from tracking_tasks.trackers.dslt.objective import RegressionConfig
from tracking_tasks.trackers.dslt.tracker import DSLT

_SOURCE = "Lu et al. 2018"
_SEEDS = {"smoke": 2, "small": 5, "full": 5}
# Videos and frames of each; what converges is seen on short ones, too.
_VIDEOS = {"smoke": (1, 6), "small": (8, 40), "full": (100, 300)}
_SHORT = {"smoke": (1, 6), "small": (24, 15), "full": (100, 100)}
_EARLIER = {"34": Levels34, "35": Levels35}
_LOSSES = (
    Row("shrinkage", setting="shrinkage"),
    Row("L2", {"auc": 64.2, "precision20": 87.0}, "squared"),
    Row("L3 (focal)", setting="focal"),
    Row("OHNM", setting="hard_negative_mining"),
)


def _tracker(runner: TableRunner, **changes: Any) -> DSLT:
    """The paper's tracker at the scale's size, with some of its constants changed."""
    crop_size = runner.outer_loop.episode.crop_size
    config = dataclasses.replace(DSLTConfig(crop_size=crop_size), **changes)
    tracker = runner.untrained(DSLT.name, DSLT.default_rule, config)
    assert isinstance(tracker, DSLT)
    return tracker


def _with_loss(runner: TableRunner, loss: str) -> DSLT:
    return _tracker(runner, regression=RegressionConfig(loss=loss))


def _measure_loss(runner: TableRunner, row: Row, seed: int) -> Measurement:
    tracker = _with_loss(runner, row.setting)
    return runner.judge(tracker, tracker.default_rule, runner.held_out(_VIDEOS), seed, "untrained")


def _measure_layers(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """Figure 10: the row is a fusion of the two levels, or another pair of levels."""
    if row.setting in _EARLIER:
        trunk = runner.backbone or EfficientNetLite0.pretrained()
        if not isinstance(trunk, EfficientNetLite0):
            raise InputError(f"{row.name} needs the backbone {EfficientNetLite0.name}")
        levels = _EARLIER[row.setting](trunk)
        tracker: Any = DSLT.create(DSLT.default_rule, _tracker(runner).config, levels)
    else:
        tracker = _tracker(runner, fusion=row.setting)
    return runner.judge(tracker, tracker.default_rule, runner.held_out(_VIDEOS), seed, "untrained")


def _measure_convergence(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """Figure 11: the fit on the first frames, and the steps until convergence there and later."""
    tracker = _with_loss(runner, row.setting)
    online = tracking_tasks.OnlineTracker(tracker, tracker.default_rule)
    curves, first, later = [], [], []
    for video in runner.videos(runner.held_out(_SHORT), seed):
        image, box = video.frame(0), jnp.asarray(video.boxes[0])
        extent = jnp.array(image.shape[1::-1])
        curves.append(_training_losses(tracker, Frame(jnp.asarray(image), extent), box))
        online.track((video.frame(index) for index in range(len(video))), video.boxes[0])
        first.append(int(online.state.init_steps))
        later.append(float(online.state.update_steps / online.state.frames))
    curve = np.mean(curves, axis=0)
    steps = of_targets({"init_steps": first, "update_steps": later}, trained=False)
    return steps.with_curves({"training_loss": (list(range(len(curve))), curve.tolist())})


@jax.jit
def _training_losses(tracker: DSLT, frame: Frame, box: jax.Array) -> jax.Array:
    """The training loss before each step on a first frame and after the last, 1 at the start."""
    samples = tracker.first_samples(frame, box)
    result = metaopt.fit(
        tracker.optimizer,
        tracker.config.regression.objective(tracker.maps),
        tracker.initial,
        samples,
        steps=tracker.config.init_steps,
    )
    return result.losses / result.losses[0]


TABLES = (
    Table(
        name="dslt_losses",
        title="Which loss makes the better tracker?",
        source=f"{_SOURCE}, Figure 10",
        rows=_LOSSES,
        orderings=tuple(Ordering("shrinkage", row.name) for row in _LOSSES[1:]),
        seeds=_SEEDS,
        measure=_measure_loss,
        scores=(AUC, PRECISION),
    ),
    Table(
        name="dslt_convergence",
        title="Which loss converges in the fewest iterations?",
        source=f"{_SOURCE}, Figure 11",
        rows=tuple(Row(row.name, setting=row.setting) for row in _LOSSES),
        orderings=tuple(
            Ordering("shrinkage", row.name, score)
            for score in ("init_steps", "update_steps")
            for row in _LOSSES[1:]
        ),
        seeds=_SEEDS,
        measure=_measure_convergence,
        scores=(
            Score("init_steps", "iterations, first frame", higher_is_better=False),
            Score("update_steps", "iterations a later frame", higher_is_better=False),
        ),
        curves=(Curve("training_loss", "iteration", "training loss over the first", "log"),),
    ),
    Table(
        name="dslt_layers",
        title="Which levels, and which residual connections?",
        source=f"{_SOURCE}, Figure 10",
        rows=(
            Row("DSLT", setting="residual"),
            Row("DSLT_m (responses only)", setting="responses"),
            Row("features only", setting="features"),
            Row("DSLT_34", setting="34"),
            Row("DSLT_35", setting="35"),
            Row("fine level alone", setting="fine"),
            Row("coarse level alone", setting="coarse"),
        ),
        orderings=(
            Ordering("DSLT", "DSLT_m (responses only)"),
            Ordering("DSLT", "features only"),
            Ordering("DSLT", "DSLT_34"),
            Ordering("DSLT", "DSLT_35"),
            Ordering("DSLT", "fine level alone"),
            Ordering("DSLT", "coarse level alone"),
        ),
        seeds=_SEEDS,
        measure=_measure_layers,
        scores=(AUC, PRECISION),
    ),
)
