"""A batch of small episodes for MetaRTT."""

import functools

import jax
import jax.numpy as jnp

from tests.tracking_tasks.trackers.small import episode


@functools.cache
def batch(count=3):
    """Episodes of different brightness."""
    one = lambda index: jax.tree.map(lambda leaf: leaf, episode("meta_rtt")).replace(
        support_images=episode("meta_rtt").support_images[:1] - 10 * index,
        support_boxes=episode("meta_rtt").support_boxes[:1] + index,
        support_weights=jnp.ones(1),
        key=jax.random.key(index),
    )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one, range(count)))
