"""Images as users have them, made into frames."""

from typing import Any

import jax
import numpy as np

from basics.errors import InputError
from tracking_tasks.episode import Frame

# An array, an image of Pillow, or nested lists: whatever NumPy makes an array of.
ImageLike = Any

# Frames are padded to multiples of this, so that few programs are compiled for many frame sizes.
_BUCKET = 256


def padded(image: ImageLike) -> Frame:
    """Pads an image to its bucket; raises InputError as `padded_size`."""
    plain = isinstance(image, (list, tuple))
    image = np.asarray(image)
    if plain and image.dtype.kind in "iu" and image.size and 0 <= image.min() <= image.max() < 256:
        image = image.astype(np.uint8)
    height, width = padded_size(image)
    pixels = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)))
    extent = np.array(image.shape[1::-1], np.int32)
    # `jnp.asarray` would compile a program for every size.
    return Frame(*jax.device_put((pixels, extent)))


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
