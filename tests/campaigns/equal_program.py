"""Computes something and prints it in full, to be compared with the same computed otherwise.

    python -m tests.campaigns.equal_program WHAT FOLDER [COORDINATOR PROCESSES INDEX]

`tracking`: boxes and scores of DiMP on a small backbone. `training`: eight steps on eight episodes
of a small stand-in for a tracker, on all devices of all processes; what is learned. `rendering`:
eight rendered episodes. `packed`: `training` on clips of packed data, in two runs, the second of
which goes on where the first was stopped; `packed_whole`: the same in one.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

import metaopt
from experiments.meta_training import training
from experiments.meta_training.packed_batches import packed_batches
from tests.experiments.killed_program import Linear
from tests.tracking_tasks import striped, tiny
from tracking_tasks.data import packed
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.episode import EpisodeConfig
from tracking_tasks.online import OnlineTracker

CROP = 32
CONFIG = training.TrainingConfig(
    outer_steps=8,
    episodes=8,
    save_every=2,
    log_every=1,
    learning_rate=0.1,
    episode=EpisodeConfig(crop_size=CROP, support=2, query=1),
    renderer=RendererConfig(side=48),
)


def tracking(_):
    images, boxes = striped.video(12)
    return OnlineTracker(tiny.make(), "steepest_descent").track(images, boxes[0])


def rendered():
    return training.rendered_batches(load_bank(None, "test", side=64, tile=32, limit=2), CONFIG)


def rendering(_):
    return rendered()(3)


def learned(batches, folder=None, steps=CONFIG.outer_steps):
    """What the stand-in learned from boxes as shares of a crop; None if stopped after `steps`."""
    rule = metaopt.optimizers.make("learned_rates", jnp.zeros(2), steps=2, rate=0.05)
    tracker = Linear(config=None, backbone=None, optimizer=rule, start=jnp.array([0.3, -0.4]))

    def limited(index):
        if index == steps:
            raise KeyboardInterrupt
        episodes = batches(index)
        boxes = {name: getattr(episodes, name) / CROP for name in ("support_boxes", "query_boxes")}
        return episodes.replace(**boxes)

    try:
        return training.train(tracker, limited, CONFIG, folder, resume=folder is not None)
    except KeyboardInterrupt:
        return None


def pack(folder):
    images, boxes = striped.video(8)
    at = folder / "striped"
    if not at.exists():
        packed.pack([Sequence("square", tuple(images), boxes)], at, name="striped")
    return packed_batches([packed.PackedDataset(at)], [1.0], CONFIG)


def packed_in_two_runs(folder):
    learned(pack(folder), folder / "run", steps=5)
    return learned(pack(folder), folder / "run")


WHAT = {
    "tracking": tracking,
    "rendering": rendering,
    "training": lambda _: learned(rendered()),
    "packed": packed_in_two_runs,
    "packed_whole": lambda folder: learned(pack(folder)),
}


def numbers(tree):
    """All numbers of a tree in a row."""
    leaves = [x for x in jax.tree.leaves(tree) if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])


def main(what, folder, coordinator=None, processes="1", index="0"):
    if coordinator:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(coordinator, int(processes), int(index))
    found = numbers(WHAT[what](pathlib.Path(folder)))
    print(jax.device_count(), *map(float.hex, found.tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
