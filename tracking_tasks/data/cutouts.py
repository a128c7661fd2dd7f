"""Cutting outlined objects out of photographs."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from tracking_tasks.data import outlines

FILL = 0.84  # share of a cut-out's tile that the object's longer side takes
SMALLEST_OBJECT = 32.0  # longer side in pixels; smaller objects are too coarse to show
_LEAST_CONTRAST = 12.0  # standard deviation of grey levels; below it, a patch of wall or sky
_LEAST_COVER = 0.2  # share of its box; below it, scattered remains of an occluded object


class CutOut(NamedTuple):
    """One object: its RGBA tile, and what `PhotoBank` says of it under the same names."""

    cutout: np.ndarray
    extent: tuple[float, float]
    category: int
    photo: int
    place: tuple[float, float, float]
    inside: bool


class Crop(NamedTuple):
    """The square of a photograph that the bank keeps, and its scale."""

    left: float
    top: float
    width: float  # of the square, in pixels of the photograph
    side: int  # of the square, in pixels of the bank

    @classmethod
    def around(cls, size: tuple[int, int], side: int, found: list[outlines.Outline]) -> "Crop":
        """The largest square, slid along the longer side to the middle of the objects."""
        width = min(size)
        centres = [np.argwhere(o.mask).mean(0)[::-1] for o in found if o.mask.any()]
        middle = np.mean(centres, 0) if centres else np.divide(size, 2)
        left, top = np.clip(middle - width / 2, 0, np.subtract(size, width))
        return cls(float(left), float(top), width, side)

    def apply(self, image: Image.Image) -> np.ndarray:
        """Crops and resizes the photograph."""
        box = (self.left, self.top, self.left + self.width, self.top + self.width)
        resized = image.resize((self.side, self.side), Image.Resampling.BICUBIC, box)
        return np.asarray(resized)


def cut_all(
    image: Image.Image, found: list[outlines.Outline], crop: Crop, photo: int, tile: int
) -> Iterator[CutOut]:
    """Cuts the objects worth keeping: large, textured, not cut by the border."""
    for outline in found:
        rows, columns = (np.flatnonzero(outline.mask.any(axis)) for axis in (1, 0))
        if not len(rows):
            continue
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
        width, height = box[2:] - box[:2]
        if max(width, height) < SMALLEST_OBJECT or min(width, height) < SMALLEST_OBJECT / 2:
            continue
        if (box[:2] < 2).any() or (box[2:] > np.subtract(image.size, 2)).any():
            continue  # cut by the border of the photograph: half an animal in mid-air
        grey = np.asarray(image.convert("L"))[outline.mask]
        if grey.size < _LEAST_COVER * width * height or grey.std() < _LEAST_CONTRAST:
            continue
        scale = crop.side / crop.width
        placed = (box - [crop.left, crop.top] * 2) * scale
        inside = bool(
            (placed >= 2).all()
            and (placed <= crop.side - 2).all()
            and np.sqrt(width * height) * scale < 0.45 * crop.side
        )
        half = max(width, height) / FILL / 2
        middle = (box[:2] + box[2:]) / 2
        centre = (placed[:2] + placed[2:]) / 2
        yield CutOut(
            _cut(image, outline.mask, middle, half, tile),
            (width / half / 2, height / half / 2),
            outline.category,
            photo,
            (float(centre[0]), float(centre[1]), half * scale),
            inside,
        )


def _cut(
    image: Image.Image, mask: np.ndarray, middle: np.ndarray, half: float, tile: int
) -> np.ndarray:
    """Cuts the square around one object, as an RGBA tile."""
    low, high = np.floor(middle - half).astype(int), np.ceil(middle + half).astype(int)
    window = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    box = (*(middle - half - low), *(middle + half - low))
    # Outlines drawn by hand run just outside the object: half a pixel is taken off on the way to a
    # soft edge, or a rim of the old background would outline every object.
    soft = Image.fromarray(mask).convert("L").crop(window).filter(ImageFilter.GaussianBlur(1))
    eroded = soft.point([max(0, 2 * value - 255) for value in range(256)])
    layers = (image.crop(window), eroded)
    tiles = [layer.resize((tile, tile), Image.Resampling.BICUBIC, box) for layer in layers]
    return np.dstack([np.asarray(layer) for layer in tiles])
