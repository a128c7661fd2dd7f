"""Images as users have them, made into frames, and what is compiled for a first and a next one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from basics.errors import InputError
from tracking_tasks.boxes import validate_box
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.trackers import Tracker

# An array, an image of Pillow, or nested lists: whatever NumPy makes an array of.
ImageLike = Any

# Frames are padded to multiples of this, so that few programs are compiled for many frame sizes.
_BUCKET = 256


def start(tracker: Tracker, image: ImageLike, box: ArrayLike) -> Any:
    """The online state of a tracker that is fitted to a target.

    Args:
        tracker: the pure functions and their parameters.
        image: uint8 (H, W, 3), RGB: an array, an image of Pillow, or nested lists.
        box: x, y, w, h in pixels, 0-based.

    Raises:
        InputError: if the image or the box cannot be used.
    """
    frame = padded(image)
    width, height = frame.extent.tolist()
    return _init(tracker, frame, jnp.asarray(validate_box(box, (height, width))))


@jax.jit
def _init(tracker: Tracker, frame: Frame, box: jax.Array) -> Any:
    return tracker.init(frame, box)


# The old state is given up, so that the sample memory is updated in place.
@jax.jit(donate_argnums=1)
def advance(tracker: Tracker, state: Any, frame: Frame) -> tuple[Any, Prediction]:
    """The state after the next frame, and where the target is; the state before is used up."""
    return tracker.step(state, frame)


def padded(image: ImageLike) -> Frame:
    """Pads an image to its bucket; raises InputError as `padded_size`."""
    plain = isinstance(image, (list, tuple))
    image = np.asarray(image)
    if plain and image.dtype.kind in "iu" and image.size and 0 <= image.min() <= image.max() < 256:
        image = image.astype(np.uint8)
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
