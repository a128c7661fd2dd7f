"""Meta-trains a small stand-in for a tracker; killed and resumed by test_kill.

    python killed_program.py FOLDER [MOMENT]

Prints the final parameters. MOMENT is a step before which the process kills itself, or `save`: then
it does so as soon as a checkpoint is being written.
"""

import os
import pathlib
import signal
import sys
import threading
import time

import jax
import jax.numpy as jnp

import metaopt
from experiments.meta_training import training
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import Tracker

CONFIG = training.TrainingConfig(outer_steps=12, save_every=2, log_every=1, learning_rate=0.1)


class Linear(Tracker):
    """A filter of two numbers fitted by a learned rate: nothing of it takes time to compile."""

    name = "linear"
    start: jax.Array

    def outer_loss(self, episode):
        objective = metaopt.ScalarLoss(lambda w, e: jnp.sum((w * e.support_boxes[0, :2] - 1) ** 2))
        result = metaopt.fit(self.optimizer, objective, self.start, episode, steps=2)
        return jnp.sum((result.params * episode.query_boxes[0, :2] - 1) ** 2), {}


def batch(index):
    boxes = jax.random.uniform(jax.random.fold_in(jax.random.key(0), index), (4, 1, 4), minval=0.5)
    images, weights = jnp.zeros((4, 1, 2, 2, 3)), jnp.ones((4, 1))
    keys = jax.random.split(jax.random.key(index), len(boxes))
    return Episode(images, boxes, weights, images, boxes[::-1], weights, keys)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_during_save(folder):
    """Kills the process when files of a checkpoint are there, but not yet under its name."""
    while not any(folder.glob("state/*tmp*/*")):
        time.sleep(0)
    kill()


def main(folder, moment=None):
    folder = pathlib.Path(folder)
    if moment == "save":
        threading.Thread(target=kill_during_save, args=[folder], daemon=True).start()

    def batches(index):
        if moment == str(index):
            kill()
        return batch(index)

    rule = metaopt.optimizers.make("learned_rates", jnp.zeros(2), steps=2, rate=0.05)
    tracker = Linear(config=None, backbone=None, optimizer=rule, start=jnp.array([0.3, -0.4]))
    tracker = training.train(tracker, batches, CONFIG, folder, resume=True)
    return [value.hex() for leaf in jax.tree.leaves(tracker) for value in leaf.ravel().tolist()]


if __name__ == "__main__":
    print(*main(*sys.argv[1:]))
