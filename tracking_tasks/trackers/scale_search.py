"""Trackers that look at search regions of several scales, in every frame or in every n-th."""

import abc
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from basics.errors import InputError
from models import Features
from models.backbone import STRIDE
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.trackers.base import Tracker
from tracking_tasks.trackers.soundness import contrast


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

        factors, due = jnp.asarray(self.scales), self._due(state)
        shown, levels = self._one_by_one(state, frame, factors, due)
        middle = slice(self.scales.index(1.0), self.scales.index(1.0) + 1)

        def among(chosen: slice) -> PyTree:
            parts = Features(*(level[chosen] for level in levels))
            counts = jnp.ones(len(self.scales), bool)
            return self.look(state, parts, factors[chosen], counts[chosen])

        seen = jax.lax.cond(due, lambda: among(slice(None)), lambda: among(middle))
        return self.judged(state, shown[middle][0], *self.take(state, frame, seen))

    def _one_by_one(
        self, state: PyTree, frame: Frame, scales: Float[Array, " n"], every: Bool[Array, ""]
    ) -> tuple[Float[Array, " n"], Features]:
        """The search regions' contrast, and features; zeros, but of scale 1, if not `every`.

        In a loop: no slower on a CPU than all at once, and the backbone is compiled a single time.
        """
        order = jnp.argsort(jnp.asarray(self.scales) != 1.0)

        @jax.jit  # traced once, for the shapes and for the loop
        def at(scale: Float[Array, "1"]) -> tuple[Array, Features]:
            image = self._regions(state, frame, scale)
            return contrast(image)[None], self.backbone(image)

        def add(index: Int[Array, ""], seen: PyTree) -> PyTree:
            place = order[index]
            put = lambda whole, one: jax.lax.dynamic_update_slice_in_dim(whole, one, place, 0)
            return jax.tree.map(put, seen, at(scales[place][None]))

        blank = lambda shape: jnp.zeros((len(scales), *shape.shape[1:]), shape.dtype)
        nothing = jax.tree.map(blank, jax.eval_shape(at, scales[:1]))
        return jax.lax.fori_loop(0, jnp.where(every, len(scales), 1), add, nothing)

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
