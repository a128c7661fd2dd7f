"""The rates that ROAM's network emits in meta-training (Yang et al., CVPR 2020, Figure 2)."""

import jax
import jax.numpy as jnp

from tracking_tasks.episode import Episode
from tracking_tasks.trackers.roam import clips
from tracking_tasks.trackers.roam.tracker import ROAM


@jax.jit
def emitted(tracker: ROAM, episodes: Episode) -> jax.Array:
    """Of every coordinate, at the last update of each clip, (clips, coordinates).

    The params are not scaled at random, and the boxes are the true ones.
    """

    def rates(episode: Episode) -> jax.Array:
        clip, config = tracker.clip(episode), tracker.config
        start = tracker.fit(
            tracker.optimizer, tracker.initial, batch=clip.first, steps=config.train_steps
        )
        seen = jax.tree.map(lambda leaf: leaf[:-1], clip.blocks)
        later = tracker.fit(
            tracker.optimizer,
            start.params,
            batches=clips.beside_first(
                config.first_share, clip.first.features[0], clip.first.boxes[0], seen
            ),
            steps=config.blocks - 1,
            state=start.state,
        )
        return jnp.ravel(later.state.emitted)

    return jax.lax.map(rates, episodes)
