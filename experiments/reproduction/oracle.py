"""ROAM as an oracle: it learns online from true boxes (Yang et al., CVPR 2020, section 6.2)."""

import jax
import jax.numpy as jnp
import numpy as np

import tracking_tasks
from tracking_tasks import boxes
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.trackers.roam.state import ROAMState, Sample
from tracking_tasks.trackers.roam.tracker import ROAM


class Oracle(tracking_tasks.OnlineTracker):
    """Learns from true boxes where there are any, but has to find the target by itself."""

    def __init__(self, tracker: ROAM, truth: np.ndarray) -> None:
        super().__init__(tracker, "oracle")
        self._truth = iter(truth[1:])

    def update(self, image: np.ndarray) -> Prediction:
        frame = Frame(jnp.asarray(image), jnp.array(image.shape[1::-1]))
        truth = jnp.asarray(next(self._truth))
        self.state, prediction = _oracle_step(self.tracker, self.state, frame, truth)
        return Prediction(np.asarray(prediction.box), float(prediction.score))


@jax.jit
def _oracle_step(
    tracker: ROAM, state: ROAMState, frame: Frame, truth: jax.Array
) -> tuple[ROAMState, Prediction]:
    levels = tracker.backbone(tracker.search(state, frame))
    state, prediction, _ = tracker.find(state, frame, tracker.look_at_all(state, levels))
    known = jnp.all(truth[2:] > 0)
    size = jnp.where(known, truth[2:], state.size)
    center = jnp.where(known, boxes.center(truth), state.center)
    side = tracker.search_side(size)
    pixels = tracker.config.crop_size
    images = tracker.search_regions(frame, center, side[None])
    box = boxes.from_center(jnp.full(2, pixels / 2), size * pixels / side)
    sample = Sample(tracker.features(images)[0], tracker.backbone.grid.boxes_to_cells(box), known)
    learned, _ = tracker.learn(state.replace(size=size), sample)
    return learned.replace(size=state.size), prediction
