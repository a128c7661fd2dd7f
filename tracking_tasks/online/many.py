"""Several targets in one video, followed together."""

import concurrent.futures
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from models import Features
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.frames import ImageLike, padded, start
from tracking_tasks.online.redetection import Redetection
from tracking_tasks.trackers import Tracker

_THREADS = 2  # for what follows from the features: small operations, which one core is enough for


@runtime_checkable
class _Loaded(Protocol):
    """What `tracking_tasks.load` returns, as far as it is needed here."""

    tracker: Tracker


class MultiTracker:
    """Follows several targets through a video.

        tracker = tracking_tasks.MultiTracker(tracking_tasks.load("dimp"))
        tracker.init(image, [box, other_box])
        predictions = tracker.update(next_image)      # predictions[0].box, predictions[1].score

    The crops of all targets go through the backbone together, and its features are turned into
    boxes side by side; each target has its own inner loop. The boxes are those of one by one, to
    rounding.

    Args:
        tracker: whose parameters all targets share, as `tracking_tasks.load` returns it or bare.
            Its own target stays as it is.
    """

    def __init__(self, tracker: _Loaded | Tracker) -> None:
        self._tracker = tracker.tracker if isinstance(tracker, _Loaded) else tracker
        self._states: dict[Hashable, Any] = {}
        self._redetections: dict[Hashable, Redetection] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS)

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
        self._states[name] = start(self._tracker, image, box)
        if self._tracker.config.redetect:
            self._redetections[name] = Redetection(self._tracker)

    def remove(self, name: Hashable) -> None:
        """Forgets a target."""
        del self._states[name]
        self._redetections.pop(name, None)

    def update(self, image: ImageLike) -> dict[Hashable, Prediction]:
        """Finds the targets in the next frame, by their names.

        Recompiles where the number of targets, or the size of the frame, padded, is a new one.

        Raises:
            InputError: if the image cannot be used.
        """
        if not self._states:
            return {}
        frame, tracker, names = padded(image), self._tracker, self.targets
        crops = [_search(tracker, state, frame) for state in self._states.values()]
        each = _see(tracker, crops)

        def follow(name: Hashable, crop: Array, levels: Features) -> Prediction:
            state, prediction = _follow(tracker, self._states[name], frame, crop, levels)
            found = prediction.on_host()
            if name in self._redetections:
                state, found = self._redetections[name].look(state, frame, found)
            self._states[name] = state
            return found

        return dict(zip(names, self._pool.map(follow, names, crops, each), strict=True))


@jax.jit
def _search(tracker: Tracker, state: Any, frame: Frame) -> Float[Array, "n s s 3"]:
    return tracker.search(state, frame)


@jax.jit
def _see(tracker: Tracker, crops: list[Float[Array, "n s s 3"]]) -> list[Features]:
    levels = tracker.backbone(jnp.concatenate(crops))
    ends = np.cumsum([len(crop) for crop in crops])
    return [
        Features(*(level[end - len(crop) : end] for level in levels))
        for crop, end in zip(crops, ends.tolist(), strict=True)
    ]


@jax.jit(donate_argnums=1)
def _follow(
    tracker: Tracker, state: Any, frame: Frame, crops: Float[Array, "n s s 3"], levels: Features
) -> tuple[Any, Prediction]:
    return tracker.judged(state, crops, *tracker.follow(state, frame, levels))
