"""Reading an image that may be damaged, or anything but an image."""

import pathlib

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from basics.errors import InputError
from basics.images import open_image

# What zipfile, zlib and Pillow raise on damaged input. SyntaxError is Pillow's for a broken PNG.
DAMAGED = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def read_image(
    data: bytes | pathlib.Path,
    name: str,
    *,
    mode: str,
    side: int,
    size: tuple[int, int] | None = None,
) -> UInt8[np.ndarray, "side side channels"]:
    """Reads an image and brings it to a square of that side.

    Args:
        data: the contents of the file, or where it lies.
        name: what messages call it.
        mode: "L" or "RGB".
        side: of the result.
        size: the width and height that it must have; any if not given.

    Raises:
        InputError: if it is damaged, or of another size.
    """
    try:
        with open_image(data) as image:
            if size is not None and image.size != size:
                found, wanted = (f"{width}x{height}" for width, height in (image.size, size))
                raise InputError(f"{name} has {found} pixels, not {wanted}: get the data set again")
            return to_square(image, mode=mode, side=side)
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{name} is no image or is damaged: get it again") from error


def to_square(image: Image.Image, *, mode: str, side: int) -> UInt8[np.ndarray, "side side _"]:
    """The pixels of an image, with the channels of the mode."""
    resized = image.convert(mode).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(side, side, -1)
