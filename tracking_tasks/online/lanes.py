"""Several targets, each in a video of its own, followed together by one vmapped step."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8
from numpy.typing import ArrayLike

from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.frames import padded_size
from tracking_tasks.online.programs import Programs
from tracking_tasks.online.tracker import OnlineTracker
from tracking_tasks.trackers import Tracker

Image = UInt8[np.ndarray, "height width 3"]


class Lanes:
    """A fixed number of lanes, so that one program serves however many are in use.

    Args:
        tracker: whose parameters all lanes share; its own target stays as it is.
        count: the number of lanes.
    """

    def __init__(self, tracker: OnlineTracker, count: int) -> None:
        self.count = count
        self._programs = Programs(tracker.tracker)
        # The leaves of all states stacked, not a state of stacks: its fields say other shapes.
        self._leaves: list[Array] = []

    def init(self, lane: int, image: Image, box: ArrayLike) -> None:
        """Fits one lane to a target, whatever it followed before.

        Raises:
            InputError: if the image or the box cannot be used.
        """
        leaves = self._programs.start(image, box, steps_follow=False)
        if self._leaves:
            self._leaves = _replace(self._leaves, leaves, jnp.asarray(lane))
        else:
            self._leaves = [jnp.repeat(leaf[None], self.count, 0) for leaf in leaves]

    def update(self, images: Mapping[int, Image]) -> dict[int, Prediction]:
        """Finds the targets of some lanes in their next frames; the other lanes are lost.

        Recompiles only where the largest of the frames, padded, has another size than before.

        Args:
            images: uint8 (H, W, 3), RGB, by lane; sizes may differ.
        """
        sides = np.max([padded_size(image) for image in images.values()], axis=0)
        pixels = np.zeros((self.count, *sides, 3), np.uint8)
        extents = np.broadcast_to(sides[::-1], (self.count, 2)).astype(np.int32)
        for lane, image in images.items():
            height, width = image.shape[:2]
            pixels[lane, :height, :width] = image
            extents[lane] = width, height
        frames = Frame(jnp.asarray(pixels), jnp.asarray(extents))
        self._leaves, predictions = _steps(
            self._programs.tracker, self._programs.structure, self._leaves, frames
        )
        fields = [np.array(field) for field in predictions]
        return {lane: Prediction(*(field[lane] for field in fields)).on_host() for lane in images}


@jax.jit(donate_argnums=0)
def _replace(stacks: list[Array], leaves: list[Array], lane: Int[Array, ""]) -> list[Array]:
    return [stack.at[lane].set(leaf) for stack, leaf in zip(stacks, leaves, strict=True)]


@jax.jit(static_argnums=1, donate_argnums=2)
def _steps(
    tracker: Tracker, structure: Any, stacks: list[Array], frames: Frame
) -> tuple[list[Array], Prediction]:
    def step(leaves: list[Array], frame: Frame) -> tuple[list[Array], Prediction]:
        state, prediction = tracker.step(jax.tree.unflatten(structure, leaves), frame)
        return jax.tree.leaves(state), prediction

    return jax.vmap(step)(stacks, frames)
