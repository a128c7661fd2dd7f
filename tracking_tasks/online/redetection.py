"""Looking for a target elsewhere in the frame, once it is absent.

A tracker searches around the last place. While its target is gone, it looks in addition at a few
other places a frame, the nearest first, until it has seen the whole frame, and over again; where it
finds the target with a score that a look-alike hardly has, it goes on from there. That bounds the
cost: each place is one step of the tracker.

What scores say depends on the target: one that is held has a response of 0.4, another of 1.1, and
places without it have about a third of its own. So a tracker may measure scores by that which its
target usually has (the constant `found_again_share`).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.programs import Programs

PLACES = 2  # that are looked at in a frame
_GONE = 0.5  # share of the target's usual score below which it is gone
_FOLLOWED = 0.3  # share of each score by which the usual one is followed


class Redetection:
    """Finds one target again.

    Args:
        programs: of the tracker, whose constants say when and how.
    """

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._usual: float | None = None
        self._absent = self._looked_at = 0
        self._places = np.zeros((0, 2), np.float32)

    def look(self, state: Any, frame: Frame, prediction: Prediction) -> tuple[Any, Prediction]:
        """What the tracker knows and says after a step, and after a look elsewhere if need be.

        Args:
            state: after the step.
            frame: of the step.
            prediction: of the step, on the host.
        """
        config = self._programs.tracker.config
        if not self._is_gone(prediction):
            self._absent = self._looked_at = 0
            return state, prediction
        self._absent += 1
        if self._absent <= config.redetect_patience:
            return state, prediction
        if self._absent == config.redetect_patience + 1:
            side = float(self._programs.tracker.search_side(state.size))
            spacing = config.redetect_spacing * side
            self._places = places(np.asarray(state.center), spacing, np.asarray(frame.extent))
        best, least = (state, prediction), self._least()
        for _ in range(min(PLACES, len(self._places))):
            place = self._places[self._looked_at % len(self._places)]
            self._looked_at += 1
            moved, found = _step_at(self._programs, state, frame, place)
            if float(found.score) >= least:
                best, least = (moved, found.on_host()), float(found.score)
        if best[1] is not prediction:
            self._absent = self._looked_at = 0
        return best

    def _is_gone(self, prediction: Prediction) -> bool:
        """Whether the target is to be looked for; follows its usual score while it is not."""
        if not self._programs.tracker.config.found_again_share:
            return not prediction.present
        score = float(prediction.score)
        if self._usual is None:
            self._usual = score
        gone = score < _GONE * self._usual
        if not gone:
            self._usual += _FOLLOWED * (score - self._usual)
        return gone

    def _least(self) -> float:
        """The score from which the target is found again."""
        config = self._programs.tracker.config
        if self._usual is None:
            return float(config.found_again_score)
        return float(config.found_again_share * self._usual)


def places(
    center: Float[np.ndarray, "2"], spacing: float, extent: np.ndarray
) -> Float[np.ndarray, "n 2"]:
    """The middles of search regions that cover a frame, from the nearest to a point on.

    Args:
        center: x, y of that point in pixels.
        spacing: the most that two neighbours lie apart along x or y, in pixels.
        extent: width and height of the frame.
    """
    counts = np.maximum(np.ceil(extent / spacing), 1).astype(int)
    x, y = ((np.arange(n) + 0.5) * length / n for n, length in zip(counts, extent, strict=True))
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
    return grid[np.argsort(np.linalg.norm(grid - center, axis=1), kind="stable")]


def _step_at(
    programs: Programs, state: Any, frame: Frame, center: Float[np.ndarray, "2"]
) -> tuple[Any, Prediction]:
    """A step of a copy, by the program of every step: none compiles when a target goes away."""
    return programs.advance(_copied(state.replace(center=jnp.asarray(center))), frame)


@jax.jit
def _copied(state: Any) -> Any:
    return jax.tree.map(jnp.copy, state)
