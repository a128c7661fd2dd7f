"""Trackers that look at search regions of several scales, in every frame or in every n-th."""

import abc
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from basics.errors import InputError
from models import Features
from models.backbone import STRIDE
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.trackers.base import Tracker


class SeenPeak(NamedTuple):
    """The highest peak of a frame.

    Attributes:
        scale: factor of the search region that it is in.
        position: x, y of the peak there, in cells.
        score: at the peak.
        features: what was seen there.
    """

    scale: Float[Array, ""]
    position: Float[Array, "2"]
    score: Float[Array, ""]
    features: Float[Array, "h w c"]


class ScaleSearch(Tracker):
    """A tracker whose step is to `look`, which chooses a scale, and then to `take` what it saw.

    Its state has `center`, `size` and `frames`. Between two searches over scales the regions of
    other scales do not count, and a step does not look at them: they are most of its cost.
    """

    @property
    def scales(self) -> tuple[float, ...]:
        """Factors of the search region; with an interval, 1 is one of them."""
        return self.config.scales

    @property
    def scale_interval(self) -> int:
        """Frames from one search over scales to the next."""
        return self.config.scale_interval

    @abc.abstractmethod
    def look(
        self, state: PyTree, levels: Features, scales: Float[Array, " n"], counts: Bool[Array, " n"]
    ) -> PyTree:
        """What is seen at the best scale.

        Args:
            state: before the frame.
            levels: of the backbone, a search region for each scale.
            scales: their factors.
            counts: whether a scale may be chosen.
        """

    @abc.abstractmethod
    def take(self, state: PyTree, frame: Frame, seen: PyTree) -> tuple[PyTree, Prediction]:
        """Finds the target in what `look` returned, and learns from it."""

    def search(self, state: PyTree, frame: Frame) -> Float[Array, "n s s 3"]:
        return self._regions(state, frame, jnp.asarray(self.scales))

    def follow(self, state: PyTree, frame: Frame, levels: Features) -> tuple[PyTree, Prediction]:
        return self.take(state, frame, self.look_at_all(state, levels))

    def look_at_all(self, state: PyTree, levels: Features) -> PyTree:
        """`look` at all that `search` shows."""
        scales = jnp.asarray(self.scales)
        return self.look(state, levels, scales, self._due(state) | (scales == 1.0))

    def step(self, state: PyTree, frame: Frame) -> tuple[PyTree, Prediction]:
        """As `follow` of all that `search` shows, without the scales that would not count."""
        if len(self.scales) == 1 or self.scale_interval == 1:
            return super().step(state, frame)
        if 1.0 not in self.scales:
            raise InputError(f"scales={self.scales} must hold 1, or scale_interval must be 1")

        def at(scales: tuple[float, ...]) -> tuple[Array, PyTree]:
            factors = jnp.asarray(scales)
            images = self._regions(state, frame, factors)
            counts = jnp.ones(len(scales), bool)
            middle = scales.index(1.0)
            seen = self.look(state, self.backbone(images), factors, counts)
            return images[middle : middle + 1], seen

        every, one = lambda: at(self.scales), lambda: at((1.0,))
        images, seen = jax.lax.cond(self._due(state), every, one)
        return self.judged(state, images, *self.take(state, frame, seen))

    def _regions(
        self, state: PyTree, frame: Frame, scales: Float[Array, " n"]
    ) -> Float[Array, "n s s 3"]:
        return self.search_regions(frame, state.center, self.search_side(state.size) * scales)

    def _due(self, state: PyTree) -> Bool[Array, ""]:
        """Whether this is a frame of a search over scales."""
        return (state.frames + 1) % self.scale_interval == 0

    def _pixels_per_cell(self, state: PyTree) -> Float[Array, ""]:
        """Of the frame, in a search region of factor 1."""
        return self.search_side(state.size) / self.config.crop_size * STRIDE

    @property
    def _middle(self) -> Float[Array, "2"]:
        """Of a search region, in cells."""
        return jnp.full(2, self.backbone.grid.to_cells(jnp.asarray(self.config.crop_size / 2)))
