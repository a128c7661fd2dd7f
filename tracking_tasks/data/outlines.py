"""Outlines of objects in photographs: annotated, from region maps, or invented."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw
from scipy import ndimage

from tracking_tasks.data.coco import Instance
from tracking_tasks.data.run_lengths import to_mask

REGIONS_SUFFIX = "_regions.png"
UNNAMED = -1  # the category of an outline that nobody has named

_LARGEST_REGION = 0.3  # share of the photograph; larger segments are ground, sky or sea
_LEAST_FILL = 0.45  # share of its box that a segment must fill to pass for an object


class Outline(NamedTuple):
    """One object of a photograph: its mask (True inside) and its category number."""

    mask: Bool[np.ndarray, "height width"]
    category: int


def instance_outlines(size: tuple[int, int], instances: list[Instance]) -> list[Outline]:
    """Draws the annotated objects of one photograph of `size` (width, height) as masks.

    Those without an outline are left out.
    """
    outlines = []
    for instance in instances:
        if instance.counts is not None:
            outlines.append(Outline(to_mask(instance.counts, size), instance.category))
        elif instance.polygons:
            mask = Image.new("1", size)
            for polygon in instance.polygons:
                ImageDraw.Draw(mask).polygon(polygon, fill=1)
            outlines.append(Outline(np.asarray(mask), instance.category))
    return outlines


def region_outlines(labels: UInt8[np.ndarray, "height width"]) -> list[Outline]:
    """Takes the connected segments of a region label map that may pass for objects.

    Segments that touch the border, cover more than 30 % of the photograph, or fill less than 45 %
    of their own box are mostly ground, sky or the gaps between things, and are left out.
    """
    outlines = []
    for label in np.unique(labels):
        components = ndimage.label(labels == label)[0]
        for number, (rows, columns) in enumerate(ndimage.find_objects(components), 1):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            inside = (
                min(rows.start, columns.start) > 0
                and rows.stop < labels.shape[0]
                and columns.stop < labels.shape[1]
            )
            if not inside or min(height, width) < 8:
                continue
            area = np.count_nonzero(components[rows, columns] == number)
            if area < _LARGEST_REGION * labels.size and area > _LEAST_FILL * height * width:
                outlines.append(Outline(components == number, UNNAMED))
    return outlines


def invented_outlines(
    generator: np.random.Generator, image: UInt8[np.ndarray, "height width 3"], count: int
) -> list[Outline]:
    """Lays random smooth blobs and polygons over a photograph, where it has texture.

    The radius of a blob is a random low-order Fourier series of the angle; a polygon has 3 to 7
    corners. Each is the most textured of a few random places, since nothing can follow a patch of
    plain sky.
    """
    height, width = image.shape[:2]
    grey = image.mean(-1)
    rows, columns = np.mgrid[0:height, 0:width]
    outlines = []
    for _ in range(count):
        radius = min(height, width) * generator.uniform(0.07, 0.2)
        aspect = np.exp(generator.normal(0, 0.3))
        places = [
            (generator.uniform(1.6 * radius, side - 1.6 * radius, 4)) for side in (width, height)
        ]
        scores = [
            grey[int(y - radius) : int(y + radius), int(x - radius) : int(x + radius)].std()
            for x, y in zip(*places, strict=True)
        ]
        best = int(np.argmax(scores))
        x = (columns - places[0][best]) / (radius * np.sqrt(aspect))
        y = (rows - places[1][best]) * np.sqrt(aspect) / radius
        outlines.append(Outline(np.hypot(x, y) < _profile(generator, np.arctan2(y, x)), UNNAMED))
    return outlines


def _profile(generator: np.random.Generator, angle: np.ndarray) -> np.ndarray:
    """Radius (about 1) of a random shape at each angle: a polygon or a smooth blob."""
    if generator.random() < 0.4:
        corners = generator.integers(3, 8)
        sector = np.mod(angle + generator.uniform(0, 2 * np.pi), 2 * np.pi / corners)
        return np.cos(np.pi / corners) / np.cos(sector - np.pi / corners)
    orders = np.arange(2, 6)
    weights = generator.normal(0, 0.35, 4) / orders
    phases = generator.uniform(0, 2 * np.pi, 4)
    waves = np.cos(angle[..., None] * orders + phases)
    return np.clip(1 + waves @ weights, 0.4, 1.5)
