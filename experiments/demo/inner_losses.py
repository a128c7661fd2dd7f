"""The inner loop made visible: the loss on a target in one frame, before and after each step."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tracking_tasks import boxes
from tracking_tasks.episode import Episode, Frame
from tracking_tasks.online import OnlineTracker, padded
from tracking_tasks.trackers import Tracker


def inner_losses(tracker: OnlineTracker, image: np.ndarray, box: np.ndarray) -> list[float]:
    """The inner objective of a fit to a target, of as many steps as in meta-training.

    Args:
        tracker: whose rule fits.
        image: uint8 (H, W, 3) RGB.
        box: x, y, w, h in pixels.

    Returns:
        A loss before each step, and one after the last.
    """
    return np.asarray(_losses(tracker.tracker, padded(image), jnp.asarray(box))).tolist()


@jax.jit
def _losses(tracker: Tracker, frame: Frame, box: Float[Array, "4"]) -> Float[Array, " steps"]:
    cut, size = tracker.episode_config, box[2:]
    side = tracker.search_side(size)
    (crop,) = tracker.search_regions(frame, boxes.center(box), side[None])
    pixels = len(crop)
    local = boxes.from_center(jnp.full(2, pixels / 2), size * pixels / side)

    def shown(count: int) -> tuple[Array, Array, Array]:
        repeated = lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape))
        return repeated(crop), repeated(local), jnp.full(count, 1 / count)

    episode = Episode(
        *shown(cut.support * len(cut.views)), *shown(cut.query), key=jax.random.key(0)
    )
    return tracker.adapt(episode, tracker.config.train_steps).inner_losses
