"""Rendered videos to look at: captions below the frames, and many videos on one page."""

import functools
import io
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from basics.files import write_atomic
from experiments.pictures.drawing import draw_box
from tracking_tasks.data.renderer import ATTRIBUTES, Video

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BACKGROUND, _INK = (24, 24, 24), (235, 235, 235)
_MARGIN = 3  # pixels around a caption and between the frames of a sheet
_QUALITY = 82  # of a sheet written as JPEG


def annotate(video: Video, index: int) -> np.ndarray:
    """Returns a frame with its box, and below it what is known of it, as a uint8 RGB image.

    The caption says the frame's number, the share of the target that is visible, and the attributes
    that hold; it is as high as all of them together need, so that a video keeps one size.
    """
    holding = [name for name in ATTRIBUTES if video.attributes[name][index]]
    share = f"{float(video.visible[index]):.0%}"
    frame = draw_box(np.asarray(video.frames[index]), np.asarray(video.boxes[index]))
    width = frame.shape[1]
    font = _font(max(10, width // 18))
    tallest = len(_wrap(["#999", "100%", *ATTRIBUTES], width, font))
    lines = _wrap([f"#{index}", share, *holding], width, font)
    step = round(font.getbbox("Hg")[3]) + 1
    strip = Image.new("RGB", (width, tallest * step + _MARGIN), _BACKGROUND)
    for number, line in enumerate(lines):
        ImageDraw.Draw(strip).text((_MARGIN, number * step), line, _INK, font)
    return np.concatenate([frame, np.asarray(strip)])


def write_sheet(path: pathlib.Path, videos: Iterable[Video], columns: int) -> None:
    """Writes one image: a video a row, `columns` of its frames from first to last, annotated.

    Args:
        path: the file; its suffix says which format.
        videos: at least one; all of one size.
        columns: the number of frames shown of each.
    """
    rows = []
    for video in videos:
        shown = np.linspace(0, len(video.frames) - 1, columns).round().astype(int)
        rows.append(np.concatenate([_framed(annotate(video, index)) for index in shown], axis=1))
    buffer = io.BytesIO()
    kind = Image.registered_extensions()[path.suffix.lower()]
    Image.fromarray(np.concatenate(rows)).save(buffer, kind, quality=_QUALITY, optimize=True)
    write_atomic(path, buffer.getvalue())


def _framed(image: np.ndarray) -> np.ndarray:
    margin = ((0, _MARGIN), (0, _MARGIN), (0, 0))
    return np.pad(image, margin, constant_values=255)


@functools.cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _wrap(words: Sequence[str], width: int, font: Font) -> list[str]:
    """Fills lines of at most `width` pixels with words."""
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]}  {word}"
        if font.getlength(longer) <= width - 2 * _MARGIN:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
