"""Figure 2 of GradNet: with and without template generalization, errors in training and testing.

The paper plots them over its epochs and gives no numbers. Here a tracker is trained three times,
for a quarter, half and all of the outer steps, each with the whole schedule of its learning rate.
"""

import dataclasses

import jax
import numpy as np

from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import Curve, Ordering, Row, Score, Table
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import gradnet
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.gradnet.tracker import GradNet

_SHARES = (0.25, 0.5, 1.0)
_NORMAL = "Ours-T, without generalization"


def _measure(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """The loss after the update, on an episode's own template, in training and on held-out ones."""
    steps = [max(1, round(share * gradnet.OUTER_STEPS[runner.scale])) for share in _SHARES]
    found: dict[str, list[float]] = {"training": [], "held_out": []}
    for count in steps:
        tracker = gradnet.train(runner, row.setting, seed, count)
        alone = dataclasses.replace(tracker.config, generalization=1)
        tracker = tracker.replace(config=alone)
        training = dataclasses.replace(
            runner.outer_loop, episode=tracker.episode_config, outer_steps=steps[0], seed=seed
        )
        (held_out,) = runner.held_out_episodes(training, 1)
        found["training"].append(mean_loss(tracker, runner.batches(training)(0)))
        found["held_out"].append(mean_loss(tracker, held_out))
    last = {name: values[-1] for name, values in found.items()}
    x = list(map(float, steps))
    return Measurement(
        {**last, "gap": last["held_out"] - last["training"]},
        {name: (x, values) for name, values in found.items()},
    )


def mean_loss(tracker: GradNet, episodes: Episode) -> float:
    """The outer loss of the episodes."""
    return float(np.mean(_losses(tracker, episodes)))


@jax.jit
def _losses(tracker: GradNet, episodes: Episode) -> jax.Array:
    return jax.lax.map(lambda episode: tracker.outer_loss(episode)[0], episodes)


TABLES = (
    Table(
        name="gradnet_overfitting",
        title="Does template generalization keep from overfitting?",
        source="Li et al. 2019, Figure 2",
        rows=(
            Row("Ours", setting=gradnet.OURS),
            Row(_NORMAL, setting=gradnet.WITHOUT_GENERALIZATION),
        ),
        orderings=(Ordering("Ours", _NORMAL, "held_out"), Ordering("Ours", _NORMAL, "gap")),
        seeds={"smoke": 2, "small": 3, "full": 5},
        measure=_measure,
        scores=(
            Score("training", "loss in training", higher_is_better=False, digits=4),
            Score("held_out", "loss on held-out episodes", higher_is_better=False, digits=4),
            Score("gap", "held out - training", higher_is_better=False, digits=4),
        ),
        curves=(
            Curve("training", "outer steps of training", "loss in training"),
            Curve("held_out", "outer steps of training", "loss on held-out episodes"),
        ),
    ),
)
