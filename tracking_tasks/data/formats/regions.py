"""The regions that VOT writes: rectangles, polygons, masks, and none."""

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Float

from tracking_tasks.data.tables import parse_numbers, read_lines, refuse, split_fields

Box = tuple[float, float, float, float]
Polygon = list[tuple[float, float]]

_NOTHING: Box = (0.0, 0.0, 0.0, 0.0)
_EXPECTED = "x,y,width,height, or three or more corners x,y, or a mask m..., or one code"


@dataclasses.dataclass(frozen=True)
class Regions:
    """The regions of a file.

    Attributes:
        boxes: x, y, width, height; zeros where there is no region.
        polygons: the corners, the last repeated where there are fewer than elsewhere, four where
            the file gives a rectangle; NaN where it gives no outline. None without any polygon.
    """

    boxes: Float[np.ndarray, "rows 4"]
    polygons: Float[np.ndarray, "rows corners 2"] | None


def read_regions(path: pathlib.Path) -> Regions:
    """Reads a region a line.

    Four numbers are x, y, width and height; six or more the corners of a polygon; `m` and integers
    a mask (x, y, width, height, then alternating counts of pixels outside and inside, row by row);
    a single number, or NaN, says that there is none.

    Raises:
        InputError: a line is none of these; names the file and the line.
    """
    boxes: list[Box] = []
    polygons: list[Polygon] = []
    box: Box
    polygon: Polygon
    outlined = False
    for number, line in enumerate(read_lines(path), start=1):
        text = line.strip()
        try:
            is_mask = text.startswith(b"m")
            numbers = parse_numbers(split_fields(text.removeprefix(b"m")))
            box, polygon = (mask_box(numbers), []) if is_mask else _shape(numbers)
        except ValueError:
            raise refuse(path, number, line, _EXPECTED) from None
        outlined |= len(numbers) > 4 and not is_mask
        boxes.append(box)
        polygons.append(polygon)
    rows = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Regions(rows, _stack(polygons) if outlined else None)


def _shape(numbers: list[float]) -> tuple[Box, Polygon]:
    missing = [value != value for value in numbers]
    if len(numbers) == 1 or (len(numbers) >= 4 and all(missing)):
        return _NOTHING, []
    if any(missing) or len(numbers) < 4 or len(numbers) % 2:
        raise ValueError("no region")
    if len(numbers) == 4:
        x, y, width, height = numbers
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        return (x, y, width, height), corners
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    return polygon_box(corners), corners


def polygon_box(corners: Polygon) -> Box:
    """Returns the axis-aligned box that stands for a polygon.

    It has the polygon's area, the proportions of its hull, and lies around the mean of its corners:
    the rule by which the trackers of the papers start on VOT (pytracking, pysot, got10k), in
    continuous coordinates. An upright rectangle stays what it is; the hull of a tilted one would
    hold up to as much background as target.
    """
    points = np.asarray(corners, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (points - low).T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    hull = np.prod(high - low)
    if not hull > 0:
        return _NOTHING
    size = np.sqrt(area / hull) * (high - low)
    corner = low + (points - low).mean(axis=0) - size / 2
    return tuple(np.concatenate([corner, size]).tolist())


def mask_box(numbers: list[float]) -> Box:
    """Returns the hull of a mask: x, y, width, height, then counts of pixels out and in by turns.

    Raises:
        ValueError: they are no such integers, or the counts exceed the mask.
    """
    values = [int(value) for value in numbers if value == int(value)]  # NaN has no int: ValueError
    if len(values) != len(numbers) or len(values) < 4 or min(values[2:]) < 0:
        raise ValueError("a mask has integers")
    (x, y, width, height), counts = values[:4], values[4:]
    if sum(counts) > width * height:
        raise ValueError("more pixels than the mask has")
    ends = np.cumsum([0, *counts])
    inside = [
        (int(start), int(end) - 1)
        for start, end in zip(ends[1::2], ends[2::2], strict=False)
        if end > start
    ]
    if not inside:
        return _NOTHING
    top, bottom = inside[0][0] // width, inside[-1][1] // width
    # A run over the end of a row reaches both sides.
    spans = [
        (first % width, last % width) if first // width == last // width else (0, width - 1)
        for first, last in inside
    ]
    left, right = min(span[0] for span in spans), max(span[1] for span in spans)
    return (float(x + left), float(y + top), float(right - left + 1), float(bottom - top + 1))


def _stack(polygons: list[Polygon]) -> Float[np.ndarray, "rows corners 2"]:
    stacked = np.full((len(polygons), max(map(len, polygons)), 2), np.nan, np.float32)
    for row, polygon in zip(stacked, polygons, strict=True):
        if polygon:
            row[:] = [*polygon, *[polygon[-1]] * (len(row) - len(polygon))]
    return stacked
