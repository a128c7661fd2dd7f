"""The one door through which images come in."""

import contextlib
import io
import pathlib
from collections.abc import Iterator

from PIL import Image

from basics.errors import InputError
from basics.files import require_regular

_MOST_PIXELS = 80_000_000  # more than two 8K frames; a few bytes can claim any number


@contextlib.contextmanager
def open_image(
    source: pathlib.Path | bytes, formats: tuple[str, ...] | None = None, *, animated: bool = False
) -> Iterator[Image.Image]:
    """Opens an image, nothing of which is decoded yet.

    Args:
        source: a file, or what stands in one.
        formats: of Pillow, which it may have; all by default.
        animated: whether all pictures of an animation count, or the first alone.

    Raises:
        InputError: it is no regular file, from which reading may never end, or has more pixels
            than a frame or a photograph.
        OSError: it is missing, or no image.
    """
    name = source if isinstance(source, pathlib.Path) else "an image"
    if isinstance(source, pathlib.Path):
        require_regular(source)
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    with Image.open(opened, formats=formats) as image:
        count = getattr(image, "n_frames", 1) if animated else 1
        if count * image.width * image.height > _MOST_PIXELS:
            times = f"{count} times " if count > 1 else ""
            raise InputError(
                f"{name} has {times}{image.width}x{image.height} pixels, more than "
                f"{_MOST_PIXELS:,}: shrink it"
            )
        yield image
