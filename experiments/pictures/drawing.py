"""Drawing a predicted box and its score on a frame."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

_FARTHEST = 2**20  # pixels: what lies beyond is not seen

COLOR: Color = (40, 220, 90)
COLORS = (COLOR, (255, 140, 30), (60, 150, 255), (240, 70, 160), (250, 220, 50), (150, 90, 240))
ABSENT: Color = (150, 150, 150)  # of a target that is lost, hidden or away


def corners(box: np.ndarray) -> tuple[float, float, float, float]:
    """The left, upper, right and lower edge of a finite box, as far as Pillow can count."""
    x, y, width, height = map(float, box)
    left, top, right, bottom = np.clip([x, y, x + width, y + height], -_FARTHEST, _FARTHEST)
    return left, top, right, bottom


def draw_box(
    image: np.ndarray, box: np.ndarray, score: float | None = None, color: Color = COLOR
) -> np.ndarray:
    """Returns a copy of the image with a box on it and, if given, its score above the box.

    Args:
        image: uint8 (H, W, 3) RGB.
        box: x, y, width, height in pixels, 0-based; may stick out of the image.
        score: shown with two decimals.
        color: RGB. A box that is not finite, or empty, is not drawn.
    """
    if not (np.isfinite(box).all() and (box[2:] > 0).all()):
        return image.copy()
    height, width = image.shape[:2]
    line = max(2, round(min(height, width) / 160))
    # The outline's inner edge lies on the box, so it hides nothing of the target.
    left, top, right, bottom = corners(box)
    left, top = math.floor(left) - line, math.floor(top) - line
    right, bottom = math.ceil(right) + line - 1, math.ceil(bottom) + line - 1
    canvas = Image.fromarray(image)
    drawing = ImageDraw.Draw(canvas)
    drawing.rectangle([left, top, right, bottom], outline=color, width=line)
    if score is not None:
        font = ImageFont.load_default(max(10, round(height / 24)))
        text = f"{score:.2f}"
        text_width, text_height = drawing.textbbox((0, 0), text, font=font)[2:]
        corner = (
            int(np.clip(left, 0, max(0, width - text_width))),
            int(np.clip(top - text_height - line, 0, max(0, height - text_height))),
        )
        drawing.text(corner, text, fill=color, font=font, stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(canvas)
