"""Looking for a target elsewhere in the frame, once it is absent.

A tracker searches around the last place. While it reports its target absent, it looks in addition
at a few other places a frame, the nearest first, until it has seen the whole frame, and over again;
where it finds the target with a score that a look-alike hardly has, it goes on from there. That
bounds the cost: each place is one step of the tracker.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.programs import Programs
from tracking_tasks.trackers import Tracker

PATIENCE = 3  # frames that a target is absent before it is looked for elsewhere
PLACES = 2  # that are looked at in a frame
_SPACING = 0.4  # of places, in sides of the search region: every point is near the middle of one


class Redetection:
    """Finds one target again.

    Args:
        tracker: with its constants `present_score` and `found_again_score`.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._programs = Programs(tracker)
        self._absent = self._looked_at = 0
        self._places = np.zeros((0, 2), np.float32)

    def look(self, state: Any, frame: Frame, prediction: Prediction) -> tuple[Any, Prediction]:
        """What the tracker knows and says after a step, and after a look elsewhere if need be.

        Args:
            state: after the step.
            frame: of the step.
            prediction: of the step, on the host.
        """
        if prediction.present:
            self._absent = self._looked_at = 0
            return state, prediction
        self._absent += 1
        if self._absent <= PATIENCE:
            return state, prediction
        if self._absent == PATIENCE + 1:
            side = float(self._tracker.search_side(state.size))
            self._places = places(np.asarray(state.center), side, np.asarray(frame.extent))
        best, least = (state, prediction), self._tracker.config.found_again_score
        for _ in range(min(PLACES, len(self._places))):
            place = self._places[self._looked_at % len(self._places)]
            self._looked_at += 1
            moved, found = _step_at(self._programs, state, frame, place)
            if float(found.score) >= least:
                best, least = (moved, found.on_host()), float(found.score)
        if best[1] is not prediction:
            self._absent = self._looked_at = 0
        return best


def places(
    center: Float[np.ndarray, "2"], side: float, extent: np.ndarray
) -> Float[np.ndarray, "n 2"]:
    """The middles of search regions that cover a frame, from the nearest to a point on.

    Args:
        center: x, y of that point in pixels.
        side: of a search region in pixels.
        extent: width and height of the frame.
    """
    counts = np.maximum(np.ceil(extent / (_SPACING * side)), 1).astype(int)
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
