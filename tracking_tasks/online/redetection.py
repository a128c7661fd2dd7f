"""Looking for a target elsewhere in the frame, once it is absent.

A tracker searches around the last place. While its target is gone, it looks in addition at a few
other places a frame, the nearest first, until it has seen the whole frame, and over again; where it
finds the target with a score that a look-alike hardly has, it goes on from there. That bounds the
cost: each place is one step of the tracker.

A tracker that keeps the score that its target usually has measures scores by that (the constant
`found_again_share`), and learns nothing while it has less than half of it: a few frames of whatever
is there in the place of the target, and that would score as high as the target.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.programs import Programs, State
from tracking_tasks.trackers.usual_score import is_gone


class Redetection:
    """Finds one target again.

    Args:
        programs: of the tracker, whose constants say when and how.
    """

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._absent = self._looked_at = 0
        self._places = np.zeros((0, 2), np.float32)

    def look(self, after: State, frame: Frame, prediction: Prediction) -> tuple[State, Prediction]:
        """What the tracker knows and says after a step, and after a look elsewhere if need be.

        Args:
            after: the state after the step.
            frame: of the step.
            prediction: of the step, on the host.
        """
        config = self._programs.tracker.config
        usual = self._usual(after)
        gone = not prediction.present if usual is None else is_gone(prediction.score, usual)
        if not gone:
            self._absent = self._looked_at = 0
            return after, prediction
        self._absent += 1
        if self._absent <= config.redetect_patience:
            return after, prediction
        if self._absent == config.redetect_patience + 1:
            state = self._programs.tree(after)
            side = float(self._programs.tracker.search_side(state.size))
            spacing = config.redetect_spacing * side
            self._places = places(np.asarray(state.center), spacing, np.asarray(frame.extent))
        least = config.found_again_score if usual is None else config.found_again_share * usual
        best = after, prediction
        for _ in range(min(config.redetect_places, len(self._places))):
            place = self._places[self._looked_at % len(self._places)]
            self._looked_at += 1
            moved, found = _step_at(self._programs, after, frame, place)
            if float(found.score) >= least:
                best, least = (moved, found.on_host()), float(found.score)
        if best[1] is not prediction:
            self._absent = self._looked_at = 0
        return best

    def _usual(self, state: State) -> float | None:
        """The usual score, where the target is measured by that."""
        tracker = self._programs.tracker
        if not tracker.config.found_again_share:
            return None
        usual = tracker.usual_score(self._programs.tree(state))
        return None if usual is None else float(usual)


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
    programs: Programs, state: State, frame: Frame, center: Float[np.ndarray, "2"]
) -> tuple[State, Prediction]:
    """A step of a copy, by the program of every step: none compiles when a target goes away."""
    copy = programs.tree(_copied(state))
    moved = copy.replace(center=jax.device_put(center, copy.center.sharding))
    return programs.advance(jax.tree.leaves(moved), frame)


@jax.jit
def _copied(state: State) -> State:
    return [jnp.copy(leaf) for leaf in state]
