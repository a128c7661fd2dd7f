"""The overlap of the VOT challenges: of regions drawn into the pixels of the image.

Corners and sides are rounded to integers (halves to the even one) before anything else, and only
pixels inside the image count. Boxes that differ by less than half a pixel so overlap by 1, and a
box smaller than half a pixel overlaps nothing. Checked against vot-toolkit 0.9.0, with its special
cases: where both regions together are at most one pixel wide or high, the overlap is 1, and where
what of them lies inside the image is, it is 0.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from tracking_tasks.data import sequences as sequences_lib

_Span = Int[np.ndarray, "4"]  # first column, first row, last column, last row


def vot_overlaps(
    predicted: Iterable[ArrayLike], truth: Iterable[ArrayLike], size: tuple[int, int]
) -> Float[np.ndarray, "frames"]:
    """Returns the overlap in each frame, (N,) in [0, 1]; see `vot_overlap`.

    Args:
        predicted: N boxes.
        truth: N boxes or outlines.
        size: width and height of the image in pixels.
    """
    pairs = zip(predicted, truth, strict=True)
    return np.array([vot_overlap(box, region, size) for box, region in pairs])


def vot_overlap(predicted: ArrayLike, truth: ArrayLike, size: tuple[int, int]) -> float:
    """Returns the intersection over union of two regions in pixels.

    Args:
        predicted: a box x, y, width, height, or an outline (corners, 2) of x, y. Where a number is
            not finite the overlap is 0.
        truth: a box or an outline.
        size: width and height of the image in pixels.
    """
    regions = [np.round(np.asarray(region, np.float32)) for region in (predicted, truth)]
    if not all(np.isfinite(region).all() for region in regions):
        return 0.0
    spans = [_span(region.astype(np.int64)) for region in regions]
    joint = np.concatenate([np.minimum(spans[0], spans[1])[:2], np.maximum(spans[0], spans[1])[2:]])
    if (joint[:2] >= joint[2:]).any():
        return 1.0
    view = np.concatenate([joint[:2].clip(0), np.minimum(joint[2:], np.subtract(size, 1))])
    if (view[:2] >= view[2:]).any():
        return 0.0
    first, second = (_drawn(region.astype(np.int64), view) for region in regions)
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0


def regions(sequence: sequences_lib.Sequence) -> list[Float[np.ndarray, "..."]]:
    """Returns what overlaps are taken with: the outline of the target, or else its box."""
    if sequence.polygons is None:
        return list(sequence.boxes)
    pairs = zip(sequence.polygons, sequence.boxes, strict=True)
    return [outline if np.isfinite(outline).all() else box for outline, box in pairs]


def image_size(sequence: sequences_lib.Sequence) -> tuple[int, int]:
    """Returns the width and height of the frames of a sequence, in pixels."""
    height, width = sequence.frame(0).shape[:2]
    return width, height


def _span(region: Int[np.ndarray, "..."]) -> _Span:
    """Returns the pixels that a region reaches to; its far edges belong to an outline only."""
    if region.ndim == 2:
        return np.concatenate([region.min(axis=0), region.max(axis=0)])
    return np.concatenate([region[:2], region[:2] + region[2:] - 1])


def _drawn(region: Int[np.ndarray, "..."], view: _Span) -> Bool[np.ndarray, "rows columns"]:
    """Returns which pixels of a part of the image a region covers."""
    columns, rows = (np.arange(view[axis], view[axis + 2] + 1) for axis in (0, 1))
    if region.ndim == 2:
        return np.stack(
            [_filled_row(region - view[:2], y, len(columns)) for y in (rows - view[1]).tolist()]
        )
    left, top, right, bottom = _span(region)
    return np.outer((rows >= top) & (rows <= bottom), (columns >= left) & (columns <= right))


def _filled_row(
    corners: Int[np.ndarray, "corners 2"], row: int, width: int
) -> Bool[np.ndarray, "columns"]:
    """Returns which pixels of a row lie between the 1st and 2nd, 3rd and 4th, ... crossing of it.

    An edge crosses every row from its first to its last corner, both included, so that a corner
    counts for both of its edges: of crossings at the same place the first is passed over, unless
    nothing but the second follows.
    """
    filled = np.zeros(width, bool)
    crossings = _crossings(corners, row)
    index = 0
    while index < len(crossings) - 1 and crossings[index] < width:
        start, end = crossings[index : index + 2]
        if start == end and index < len(crossings) - 2:
            index += 1
            continue
        filled[max(start, 0) : max(end + 1, 0)] = True
        index += 2
    return filled


def _crossings(corners: Int[np.ndarray, "corners 2"], row: int) -> list[int]:
    crossings = []
    for corner, previous in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        width, height = previous - corner
        if not min(corner[1], previous[1]) <= row <= max(corner[1], previous[1]):
            continue
        offset = (row - corner[1]) / height * width if height else 0
        crossings.append(int(corner[0] + offset))  # towards zero
    return sorted(crossings)
