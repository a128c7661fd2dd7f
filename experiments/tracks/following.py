"""Following targets through a video, frame by frame, whatever happens on the way."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tracking_tasks.data.videos import TimedFrame
from tracking_tasks.evaluation.tracks import Tracker
from tracking_tasks.online import MultiTracker, OnlineTracker

Starts = Mapping[int, Mapping[str, np.ndarray]]


class Row(NamedTuple):
    """Where a target is in a frame.

    Attributes:
        frame: number of the frame, from 0.
        time: its time in seconds.
        target: name.
        box: x, y, width, height in pixels, from 0; may hold numbers that are not finite.
        score: the tracker's, 1 where the box was given.
        present: False where the target is lost, hidden or away.
        given: whether the box is the user's own.
        undone: whether the tracker would have learned what is not finite, and did not.
    """

    frame: int
    time: float
    target: str
    box: np.ndarray
    score: float
    present: bool
    given: bool = False
    undone: bool = False


def follow(
    tracker: Any, frames: Iterable[TimedFrame], starts: Starts
) -> Iterator[tuple[TimedFrame, list[Row]]]:
    """Yields each frame with a row a target.

    Args:
        tracker: an `OnlineTracker`; for one target, anything with `init` and `update`.
        frames: in the order of tracking.
        starts: the boxes that are given, by frame and target: the tracker is started there, or
            started anew.
    """
    names = {name for given in starts.values() for name in given}
    many = _Single(tracker) if len(names) == 1 else MultiTracker(tracker)
    for frame in frames:
        found = many.update(frame.pixels)
        rows = {
            name: Row(
                frame.number,
                frame.time,
                str(name),
                np.asarray(each.box, np.float32),
                float(np.asarray(each.score)),
                bool(getattr(each, "present", True)) and bool(np.isfinite(each.box).all()),
                undone=bool(getattr(each, "undone", False)),
            )
            for name, each in found.items()
        }
        for name, box in starts.get(frame.number, {}).items():
            many.add(name, frame.pixels, box)
            rows[name] = Row(frame.number, frame.time, name, box, 1.0, True, True)
        yield frame, list(rows.values())


class _Single:
    """One target, with the methods of `MultiTracker`."""

    def __init__(self, tracker: Tracker | OnlineTracker) -> None:
        self._tracker = tracker
        self._name: str | None = None

    def add(self, name: str, image: np.ndarray, box: np.ndarray) -> None:
        self._tracker.init(image, box)
        self._name = name

    def update(self, image: np.ndarray) -> dict[str, Any]:
        return {} if self._name is None else {self._name: self._tracker.update(image)}
