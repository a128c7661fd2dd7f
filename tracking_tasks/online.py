"""What a user meets: a tracker with `init`, `update` and `track`."""

import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

import metaopt
from basics.errors import InputError
from tracking_tasks import checkpoints
from tracking_tasks.boxes import validate_box
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.trackers import TRACKERS, Tracker

# Frames are padded to multiples of this, so that few programs are compiled for many frame sizes.
_BUCKET = 256

_WEIGHTS = pathlib.Path(__file__).parent / "weights"


class OnlineTracker:
    """Follows one target through a video.

        tracker = tracking_tasks.load("dimp")
        tracker.init(image, box)
        prediction = tracker.update(next_image)      # .box, .score

    Args:
        tracker: the pure functions and their parameters.
        inner_optimizer: the name of its rule, for reports.

    Attributes:
        state: what it knows of its target; None before `init`.
    """

    def __init__(self, tracker: Tracker, inner_optimizer: str) -> None:
        self.tracker = tracker
        self.name = tracker.name
        self.inner_optimizer = inner_optimizer
        self.state: Any = None

    def clone(self) -> "OnlineTracker":
        """Another tracker of the same parameters, without a target; it may run in a thread."""
        return OnlineTracker(self.tracker, self.inner_optimizer)

    def init(self, image: np.ndarray, box: ArrayLike) -> None:
        """Fits to the target.

        Args:
            image: uint8 (H, W, 3), RGB.
            box: x, y, w, h in pixels, 0-based.

        Raises:
            InputError: if the image or the box cannot be used.
        """
        frame = _padded(image)
        start = jnp.asarray(validate_box(box, image.shape))
        self.state = _init(self.tracker, frame, start)

    def update(self, image: np.ndarray) -> Prediction:
        """Finds the target in the next frame.

        Args:
            image: uint8 (H, W, 3), RGB.

        Raises:
            InputError: if the image cannot be used, or no target was given by `init`.
        """
        if self.state is None:
            raise InputError("the tracker has no target yet: call init(image, box) first.")
        self.state, prediction = _step(self.tracker, self.state, _padded(image))
        return Prediction(np.asarray(prediction.box), float(prediction.score))

    def track(self, frames: Iterable[np.ndarray], box: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Tracks through a whole video.

        Args:
            frames: images as for `init`; the first is the one that `box` is in.
            box: the target in the first frame.

        Returns:
            Boxes (n, 4) and scores (n,), float32; the first are the given box and 1.
        """
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise InputError("the video has no frames: give at least one.")
        self.init(first, box)
        start = Prediction(np.asarray(box, np.float32), 1.0)
        predictions = [start, *(self.update(image) for image in frames)]
        boxes, scores = zip(*predictions, strict=True)
        return np.stack(boxes), np.asarray(scores, np.float32)


def load(
    name: str,
    inner_optimizer: str | None = None,
    *,
    backbone: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    change: Callable[[Any], Any] | None = None,
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
    return OnlineTracker(*checkpoints.load(path, name, inner_optimizer, backbone, change))


def shipped_weights(name: str, inner_optimizer: str | None = None) -> pathlib.Path:
    """The checkpoint that comes with this package for a tracker.

    Args:
        name: the tracker.
        inner_optimizer: its rule, which some trackers have a checkpoint of their own for.
    """
    own = _WEIGHTS / f"{name}-{inner_optimizer}.safetensors"
    return own if own.is_file() else _WEIGHTS / f"{name}.safetensors"


@jax.jit
def _init(tracker: Tracker, frame: Frame, box: jax.Array) -> Any:
    return tracker.init(frame, box)


# The old state is given up, so that the sample memory is updated in place.
@jax.jit(donate_argnums=1)
def _step(tracker: Tracker, state: Any, frame: Frame) -> tuple[Any, Prediction]:
    return tracker.step(state, frame)


def _padded(image: np.ndarray) -> Frame:
    """Pads an image to its bucket; raises InputError as `padded_size`."""
    image = np.asarray(image)
    height, width = padded_size(image)
    pixels = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)))
    return Frame(jnp.asarray(pixels), jnp.asarray(image.shape[1::-1]))


def padded_size(image: np.ndarray) -> tuple[int, int]:
    """The height and width of the bucket that an image is padded to.

    Raises:
        InputError: if it is not uint8 of shape (H, W, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"an image must be uint8 of shape (H, W, 3), RGB; got {image.dtype} {image.shape}."
        )
    height, width = (length + -length % _BUCKET for length in image.shape[:2])
    return height, width
