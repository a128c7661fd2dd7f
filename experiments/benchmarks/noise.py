"""A tracker that has begun, where what it sees makes no difference in time."""

from typing import Any

import jax
import jax.numpy as jnp

from tracking_tasks.episode import Frame
from tracking_tasks.trackers import Tracker


def started_on_noise(tracker: Tracker) -> tuple[Any, Frame]:
    """The online state after a first frame of noise, one search region wide, and that frame."""
    size = tracker.config.crop_size
    noise = jax.random.randint(jax.random.key(0), (size, size, 3), 0, 256, jnp.uint8)
    frame = Frame(noise, jnp.array([size, size]))
    box = jnp.array([size / 2, size / 2, size / 6, size / 6])
    return jax.jit(type(tracker).init)(tracker, frame, box), frame
