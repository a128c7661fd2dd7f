"""A backbone of two convolutions, which compiles in no time and has PyTorch's padding."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from models.backbone import CENTERED_GRID, Backbone, Features
from models.layers.fast_convolutions import Conv
from tracking_tasks.trackers.dimp.tracker import DiMP, DiMPConfig

CONFIG = DiMPConfig(
    crop_size=64,
    memory_size=18,
    init_steps=2,
    train_steps=2,
    update_interval=2,
    box_estimation="scale_search",
)


class Tiny(Backbone):
    name = "tiny"
    channels = (6, 4)
    grid = CENTERED_GRID

    def __init__(self):
        random = np.random.default_rng(0)
        draw = lambda channels: random.normal(0, 0.1, (7, 7, 3, channels)).astype(np.float32)
        self.fine = Conv(draw(6), np.zeros(6, np.float32), 8)
        self.coarse = Conv(draw(4), np.zeros(4, np.float32), 16)

    @classmethod
    def pretrained(cls, path=None):
        return cls()

    def deeper(self):
        kernel = np.random.default_rng(1).normal(0, 0.3, (3, 3, 6, 4)).astype(np.float32)
        return Conv(kernel, np.zeros(4, np.float32), 2)

    def __call__(self, images):
        x = jnp.asarray(images, jnp.float32) / 128 - 1
        return Features(self.fine(x), self.coarse(x))


def make(**changes):
    """DiMP on it."""
    return DiMP.create("steepest_descent", dataclasses.replace(CONFIG, **changes), Tiny())
