"""Meta-training of six steps on two episodes."""

import jax
import jax.numpy as jnp
import pytest

from experiments.meta_training import training
from tests.tracking_tasks import tiny
from tests.tracking_tasks.trackers.dimp.episodes import small_episode
from tracking_tasks.trackers import Tracker

CONFIG = training.TrainingConfig(outer_steps=6, episodes=2, save_every=2, log_every=1)


class Light(Tracker):
    """Learns in what light frames are seen: in the place of a tracker, without a fit to compile."""

    name = "dimp"
    gain: jax.Array
    offset: jax.Array

    def outer_loss(self, episode):
        seen = self.seen(episode.query_images).coarse + self.seen(episode.support_images).coarse
        loss = jnp.mean((self.gain * seen + self.offset - 1) ** 2)
        return loss, {"gain": self.gain}


def light():
    return Light(tiny.CONFIG, tiny.Tiny(), None, jnp.float32(0.1), jnp.float32(0))


# What is meta-trained: in the default run a stand-in.
MAKERS = [light, pytest.param(tiny.make, marks=pytest.mark.full)]


def batches(index):
    """The same episode in one of three lights."""
    one = small_episode()
    dim = one.replace(support_images=one.support_images * (0.6 + 0.05 * (index % 3)))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), one, dim)
