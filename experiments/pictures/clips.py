"""Short clips with the boxes of several rules on the same video, as animated WebP."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw

from basics.errors import InputError
from basics.images import open_image
from experiments.pictures.drawing import corners

_SCALE = 2  # of the rendered frames, so that thin boxes are seen
_MILLISECONDS = 120  # a frame


def encode(
    frames: Sequence[UInt8[np.ndarray, "h w 3"]], milliseconds: int = _MILLISECONDS
) -> bytes:
    """Frames as an animated WebP that repeats."""
    first, *others = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(
        buffer, "WEBP", save_all=True, append_images=others, duration=_MILLISECONDS, loop=0,
        quality=70,
    )  # fmt: skip
    return buffer.getvalue()


def decode(data: bytes) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The frames of an animated WebP.

    Raises:
        InputError: it is damaged, or larger than a clip.
    """
    frames = []
    try:
        with open_image(data, animated=True) as image:
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                frames.append(np.asarray(image.convert("RGB")))
    except InputError:
        raise
    except Exception as error:  # PIL reports damage by many types
        raise InputError(f"the clip is damaged ({error}): remove it") from error
    return frames


def draw(
    frames: Sequence[UInt8[np.ndarray, "h w 3"]],
    boxes: Mapping[str, Float[np.ndarray, "frames 4"]],
    colors: Mapping[str, str],
) -> bytes:
    """An animated WebP of the frames with a box of each rule in its colour.

    Args:
        frames: RGB.
        boxes: x, y, width, height in pixels, by the rule; one that is not finite,
            or empty, is not drawn.
        colors: of matplotlib, by the rule.
    """
    drawn = []
    for index, frame in enumerate(frames):
        height, width = frame.shape[:2]
        canvas = Image.fromarray(frame).resize((_SCALE * width, _SCALE * height))
        drawing = ImageDraw.Draw(canvas)
        for rule, track in boxes.items():
            if not (np.isfinite(track[index]).all() and (track[index][2:] > 0).all()):
                continue
            left, top, right, bottom = (_SCALE * edge for edge in corners(track[index]))
            color = tuple(round(255 * part) for part in to_rgb(colors[rule]))
            drawing.rectangle(
                (left, top, max(right, left + 1), max(bottom, top + 1)), outline=color, width=2
            )
        drawn.append(np.asarray(canvas))
    return encode(drawn)
