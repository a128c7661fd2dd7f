"""Meta-training of six steps on two episodes."""

import jax
import jax.numpy as jnp

from experiments.meta_training import training
from tests.tracking_tasks.trackers.dimp.episodes import small_episode

CONFIG = training.TrainingConfig(outer_steps=6, episodes=2, save_every=2, log_every=1)


def batches(index):
    """The same episode in one of three lights."""
    one = small_episode()
    dim = one.replace(support_images=one.support_images * (0.6 + 0.05 * (index % 3)))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), one, dim)
