"""What a user meets: a tracker with `init`, `update` and `track`."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

import metaopt
from basics.errors import InputError
from tracking_tasks import checkpoints
from tracking_tasks.episode import Prediction
from tracking_tasks.online.frames import ImageLike, padded
from tracking_tasks.online.many import MultiTracker
from tracking_tasks.online.programs import Programs, State
from tracking_tasks.online.redetection import Redetection
from tracking_tasks.trackers import TRACKERS, Tracker

_WEIGHTS = pathlib.Path(__file__).parents[1] / "weights"


class OnlineTracker:
    """Follows one target through a video.

        tracker = tracking_tasks.load("dimp")
        tracker.init(image, box)
        prediction = tracker.update(next_image)      # .box, .score

    Args:
        tracker: the pure functions and their parameters.
        inner_optimizer: the name of its rule, for reports.
    """

    def __init__(self, tracker: Tracker, inner_optimizer: str) -> None:
        self._programs = Programs(tracker)
        self.name = tracker.name
        self.inner_optimizer = inner_optimizer
        self._leaves: State | None = None
        self._redetection: Redetection | None = None

    @property
    def tracker(self) -> Tracker:
        """The pure functions and their parameters; others may take their place."""
        return self._programs.tracker

    @tracker.setter
    def tracker(self, tracker: Tracker) -> None:
        self._programs = Programs(tracker)

    @property
    def state(self) -> Any:
        """What it knows of its target, a pytree of the tracker's own; None before `init`."""
        return None if self._leaves is None else self._programs.tree(self._leaves)

    @state.setter
    def state(self, state: Any) -> None:
        self._leaves = None if state is None else jax.tree.leaves(state)

    def clone(self) -> "OnlineTracker":
        """Another tracker of the same parameters, without a target; it may run in a thread."""
        return OnlineTracker(self.tracker, self.inner_optimizer)

    def init(self, image: ImageLike, box: ArrayLike) -> None:
        """Fits to the target.

        Args:
            image: uint8 (H, W, 3), RGB: an array, an image of Pillow, or nested lists.
            box: x, y, w, h in pixels, 0-based.

        Raises:
            InputError: if the image or the box cannot be used; there is no target then.
        """
        self._leaves = None
        self._redetection = Redetection(self._programs) if self.tracker.config.redetect else None
        self._leaves = self._programs.start(image, box)

    def update(self, image: ImageLike) -> Prediction:
        """Finds the target in the next frame.

        Args:
            image: as for `init`.

        Returns:
            The box, an array of the caller's own, with its score.

        Raises:
            InputError: if the image cannot be used, or no target was given by `init`.
        """
        if self._leaves is None:
            raise InputError("the tracker has no target yet: call init(image, box) first.")
        frame = padded(image)
        self._leaves, prediction = self._programs.advance(self._leaves, frame)
        prediction = prediction.on_host()
        if self._redetection is not None:
            self._leaves, prediction = self._redetection.look(self._leaves, frame, prediction)
        return prediction

    def track(self, frames: Iterable[ImageLike], box: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Tracks through a whole video.

        Args:
            frames: images as for `init`; the first is the one that `box` is in.
            box: the target in the first frame; or a row for each of several targets, which are
                followed together (see `MultiTracker`).

        Returns:
            Boxes (n, 4) and scores (n,), float32, of the n frames; the first are the given box and
            1. Of k targets (n, k, 4) and (n, k).
        """
        if np.ndim(box) == 2:
            return self._track_all(iter(frames), np.asarray(box, np.float32))
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise InputError("the video has no frames: give at least one.")
        self.init(first, box)
        given = Prediction(np.array(box, np.float32), 1.0)
        predictions = [given, *(self.update(image) for image in frames)]
        boxes, scores, *_ = zip(*predictions, strict=True)
        return np.stack(boxes), np.asarray(scores, np.float32)

    def _track_all(
        self, frames: Iterator[ImageLike], given: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        first = next(frames, None)
        if first is None:
            raise InputError("the video has no frames: give at least one.")
        many = MultiTracker(self)
        many.init(first, given)
        boxes, scores = [given], [np.ones(len(given), np.float32)]
        for image in frames:
            found = many.update(image).values()
            boxes.append(np.stack([prediction.box for prediction in found]))
            scores.append(np.array([prediction.score for prediction in found], np.float32))
        return np.stack(boxes), np.stack(scores)


def load(
    name: str,
    inner_optimizer: str | None = None,
    *,
    backbone: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    change: Callable[[Any], Any] | None = None,
    redetect: bool | None = None,
) -> OnlineTracker:
    """Makes a tracker ready for use.

    Args:
        name: one of `tracking_tasks.TRACKERS`.
        inner_optimizer: name of the rule; by default the checkpoint's. A rule other than the
            checkpoint's runs with its untrained meta-parameters.
        backbone: a feature extractor; EfficientNet-Lite0 with ImageNet weights by default.
        checkpoint: a file that `experiments.train` wrote; by default the shipped weights, those
            meta-trained with the rule where there are any.
        change: makes other constants of those in the checkpoint, for example
            `lambda config: dataclasses.replace(config, memory_size=100)`.
        redetect: look for a target that is absent all over the frame, see `redetection`; by
            default as the checkpoint's constants say.

    Raises:
        InputError: if a name is unknown or the checkpoint cannot be used.
    """
    if name not in TRACKERS:
        raise InputError(f"unknown tracker {name!r}; known are {', '.join(sorted(TRACKERS))}.")
    rules = metaopt.optimizers.names()
    if inner_optimizer is not None and inner_optimizer not in rules:
        raise InputError(
            f"unknown inner optimizer {inner_optimizer!r}; known are {', '.join(rules)}."
        )
    path = checkpoint or shipped_weights(name, inner_optimizer)
    tracker, rule = checkpoints.load(path, name, inner_optimizer, backbone, change)
    if redetect is not None:
        tracker = tracker.replace(config=dataclasses.replace(tracker.config, redetect=redetect))
    return OnlineTracker(tracker, rule)


def shipped_weights(name: str, inner_optimizer: str | None = None) -> pathlib.Path:
    """The checkpoint that comes with this package for a tracker.

    Args:
        name: the tracker.
        inner_optimizer: its rule, which some trackers have a checkpoint of their own for.
    """
    own = _WEIGHTS / f"{name}-{inner_optimizer}.safetensors"
    return own if own.is_file() else _WEIGHTS / f"{name}.safetensors"
