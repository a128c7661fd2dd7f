"""Every tracker with constants that compile and run quickly, and an episode for each."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

import metaopt
from models import EfficientNetLite0
from tests.products import chosen
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import TRACKERS

SMALL = {name: tracker.config_type.small() for name, tracker in TRACKERS.items()}
RULES = metaopt.optimizers.names()


def pairs(default=None):
    """Every tracker with every rule; the default run has those of `default_pairs`, or others."""
    default = default_pairs() if default is None else default
    return chosen([(name, rule) for name in TRACKERS for rule in RULES], default)


def default_pairs():
    """Every tracker with its own rule and a plain one."""
    own = {name: tracker.default_rule for name, tracker in TRACKERS.items()}
    return [*own.items(), *zip(own, itertools.cycle(("none", "gradient_descent")))]


def other_rules():
    """Those that are in none of these pairs."""
    paired = {rule for _, rule in default_pairs()}
    return [rule for rule in RULES if rule not in paired]


@functools.cache
def backbone():
    return EfficientNetLite0.pretrained()


@functools.cache  # a rule of optax that is made anew is compiled anew
def make(name, rule, stand_in=False):
    """A tracker on the default backbone, or on one that compiles in no time."""
    taken = Tiny() if stand_in else backbone()
    return TRACKERS[name].create(rule, SMALL[name], taken)


def episode(name, queries=2):
    crop = SMALL[name].crop_size
    images, boxes = video(2 + queries)
    corner = boxes[0, :2].astype(int) + 12 - crop // 2
    padded = [np.pad(image, ((crop, crop), (crop, crop), (0, 0)), "edge") for image in images]
    cut = [
        image[crop + corner[1] :, crop + corner[0] :][:crop, :crop].astype(np.float32)
        for image in padded
    ]
    local = boxes - np.array([*corner, 0, 0], np.float32)
    even = lambda n: jnp.full(n, 1 / n)
    return Episode(
        jnp.asarray(cut[:2]), jnp.asarray(local[:2]), even(2),
        jnp.asarray(cut[2:]), jnp.asarray(local[2:]), even(queries), jax.random.key(0),
    )  # fmt: skip
