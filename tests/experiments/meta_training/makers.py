"""What is meta-trained in tests of meta-training: in the default run a stand-in for a tracker."""

import jax
import jax.numpy as jnp
import pytest

from tests.tracking_tasks import tiny
from tracking_tasks.trackers import Tracker


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


MAKERS = [light, pytest.param(tiny.make, marks=pytest.mark.full)]
