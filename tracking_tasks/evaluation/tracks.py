"""What an evaluation needs of a tracker, and what it notes down of it on one sequence."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike


@runtime_checkable
class Prediction(Protocol):
    """Where a tracker says its target is: a box (x, y, width, height) and a confidence."""

    @property
    def box(self) -> ArrayLike: ...

    @property
    def score(self) -> ArrayLike: ...


@runtime_checkable
class Tracker(Protocol):
    """What the evaluation needs of a tracker."""

    def init(self, image: UInt8[np.ndarray, "height width 3"], box: ArrayLike) -> Any:
        """Starts on a new target: an image and its box in it."""

    def update(self, image: UInt8[np.ndarray, "height width 3"]) -> Prediction:
        """Finds the target in the next image."""


@dataclasses.dataclass(frozen=True)
class Track:
    """What a tracker did on one sequence.

    Attributes:
        boxes: predicted boxes; row 0 is the given box.
        confidences: the score of each; that of row 0 is 1.
        seconds: how long each call of `update` took, from the image in memory to the box in memory.
            Where n videos run side by side it is the share of one of them, the n-th part.
        undone: how many updates were not finite and were undone.
    """

    boxes: Float[np.ndarray, "frames 4"]
    confidences: Float[np.ndarray, "frames"]
    seconds: Float[np.ndarray, "updates"]
    undone: int = 0


class Recorder:
    """Gathers a track, prediction by prediction.

    Args:
        box: the given box.
    """

    def __init__(self, box: Float[np.ndarray, "4"]) -> None:
        self._boxes, self._confidences = [np.asarray(box, np.float32)], [1.0]
        self._seconds: list[float] = []
        self._undone = 0

    def __len__(self) -> int:
        """Returns the number of frames so far."""
        return len(self._boxes)

    def add(
        self, box: Float[np.ndarray, "4"], confidence: float, seconds: float, undone: bool = False
    ) -> None:
        """Notes the next frame."""
        self._undone += undone
        self._boxes.append(box)
        self._confidences.append(confidence)
        self._seconds.append(seconds)

    def track(self) -> Track:
        """Returns all that was noted."""
        return Track(
            np.stack(self._boxes),
            np.array(self._confidences, np.float32),
            np.array(self._seconds),
            self._undone,
        )
