"""A tracker's functions, compiled, for calls that come many times a second."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from tracking_tasks.boxes import validate_box
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.frames import ImageLike, padded
from tracking_tasks.trackers import Tracker


class Programs:
    """Compiled functions of one tracker.

    JAX takes its arguments apart whenever it is called: a tracker, with a network in it, takes half
    a millisecond. Here it is taken apart once.

    Args:
        tracker: the pure functions and their parameters.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._leaves, self._structure = jax.tree.flatten(tracker)
        self._init = self.compiled(_init)
        # The old state is given up, so that the sample memory is updated in place.
        self.advance: Callable[[Any, Frame], tuple[Any, Prediction]]
        self.advance = self.compiled(advance, donated=1)

    def compiled(self, function: Callable[..., Any], donated: int | None = None) -> Any:
        """A function of the tracker and more, without the tracker.

        Args:
            function: defined once, at the top of a module: trackers alike share its program.
            donated: which of its arguments it may use up.
        """
        return functools.partial(_program(function, self._structure, donated), self._leaves)

    def start(self, image: ImageLike, box: ArrayLike) -> Any:
        """The online state of a tracker that is fitted to a target.

        Args:
            image: uint8 (H, W, 3), RGB: an array, an image of Pillow, or nested lists.
            box: x, y, w, h in pixels, 0-based.

        Raises:
            InputError: if the image or the box cannot be used.
        """
        frame = padded(image)
        width, height = frame.extent.tolist()
        own = np.array(validate_box(box, (height, width)))  # which nobody changes meanwhile
        return self._init(frame, jax.device_put(own))


@functools.cache
def _program(
    function: Callable[..., Any], structure: Any, donated: int | None
) -> Callable[..., Any]:
    def program(leaves: list[jax.Array], *arguments: Any) -> Any:
        return function(jax.tree.unflatten(structure, leaves), *arguments)

    program.__name__ = function.__name__  # by which JAX's log calls it
    return jax.jit(program, donate_argnums=donated)


def _init(tracker: Tracker, frame: Frame, box: jax.Array) -> Any:
    return tracker.init(frame, box)


def advance(tracker: Tracker, state: Any, frame: Frame) -> tuple[Any, Prediction]:
    """The state after the next frame, and where the target is; the state before is used up."""
    return tracker.step(state, frame)
