"""An episode as small as tests.tracking_tasks.tiny.CONFIG, and batches of it."""

import jax
import jax.numpy as jnp

from tests.tracking_tasks.trackers.small import episode


def small_episode():
    cut = lambda leaf: leaf[..., :64, :64, :] if leaf.ndim == 4 else leaf
    return jax.tree.map(cut, episode("dimp"))


def batches(index):
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), small_episode())
