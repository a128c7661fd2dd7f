"""Several targets in one video, followed together."""

import concurrent.futures
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from numpy.typing import ArrayLike

from tracking_tasks.episode import Prediction
from tracking_tasks.online.frames import ImageLike, padded
from tracking_tasks.online.programs import Programs, State
from tracking_tasks.online.redetection import Redetection
from tracking_tasks.trackers import Tracker


@runtime_checkable
class _Loaded(Protocol):
    """What `tracking_tasks.load` returns, as far as it is needed here."""

    tracker: Tracker


class MultiTracker:
    """Follows several targets through a video.

        tracker = tracking_tasks.MultiTracker(tracking_tasks.load("dimp"))
        tracker.init(image, [box, other_box])
        predictions = tracker.update(next_image)      # predictions[0].box, predictions[1].score

    Each target has its own inner loop; all share one compiled program, that of one target, and run
    side by side. On a CPU that is quicker than all crops through the backbone at once, which its
    caches cannot hold, and a target that searches over scales in some frames alone does so here,
    too. The boxes are those of one by one.

    Args:
        tracker: whose parameters all targets share, as `tracking_tasks.load` returns it or bare.
            Its own target stays as it is.
    """

    def __init__(self, tracker: _Loaded | Tracker) -> None:
        self._programs = Programs(tracker.tracker if isinstance(tracker, _Loaded) else tracker)
        self._states: dict[Hashable, State] = {}
        self._redetections: dict[Hashable, Redetection] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor()

    @property
    def targets(self) -> list[Hashable]:
        """The names of the targets; those of a list of boxes are 0, 1, 2, ..."""
        return list(self._states)

    def init(self, image: ImageLike, boxes: Iterable[Any] | Mapping[Any, ArrayLike]) -> None:
        """Fits to all targets, and forgets those before.

        Args:
            image: as for `OnlineTracker.init`.
            boxes: x, y, w, h in pixels, 0-based, of each target; by their names if they have any.

        Raises:
            InputError: if the image or a box cannot be used; there are no targets then.
        """
        self._states = {}
        named = boxes if isinstance(boxes, Mapping) else dict(enumerate(boxes))
        try:
            for name, box in named.items():
                self.add(name, image, box)
        except Exception:
            self._states = {}
            raise

    def add(self, name: Hashable, image: ImageLike, box: ArrayLike) -> None:
        """Fits to one target more; to one of this name, anew.

        Raises:
            InputError: if the image or the box cannot be used.
        """
        self._states[name] = self._programs.start(image, box)
        if self._programs.tracker.config.redetect:
            self._redetections[name] = Redetection(self._programs)

    def remove(self, name: Hashable) -> None:
        """Forgets a target."""
        del self._states[name]
        self._redetections.pop(name, None)

    def update(self, image: ImageLike) -> dict[Hashable, Prediction]:
        """Finds the targets in the next frame, by their names.

        Recompiles where the size of the frame, padded, is a new one.

        Raises:
            InputError: if the image cannot be used.
        """
        if not self._states:
            return {}
        frame = padded(image)

        def follow(name: Hashable) -> Prediction:
            state, prediction = self._programs.advance(self._states[name], frame)
            found = prediction.on_host()
            if name in self._redetections:
                state, found = self._redetections[name].look(state, frame, found)
            self._states[name] = state
            return found

        return dict(zip(self._states, self._pool.map(follow, self.targets), strict=True))
