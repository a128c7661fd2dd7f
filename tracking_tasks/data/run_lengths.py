"""COCO's run-length encoded masks: counts of pixels outside and inside by turns, column by column.

Two notations: a list of counts, and a string of five bits a character (maskApi.c of cocoapi).
"""

from typing import Any

import numpy as np
from jaxtyping import Bool

_OFFSET, _VALUE, _SIGN, _MORE = 48, 0x1F, 0x10, 0x20


def parse_counts(segmentation: dict[str, Any], size: tuple[int, int]) -> list[int]:
    """Returns the counts of an encoded mask.

    Args:
        segmentation: `{"size": [height, width], "counts": list or string}`.
        size: width and height that the mask must have.

    Raises:
        ValueError: it is no mask of this size.
        KeyError, TypeError: it is no such dictionary.
    """
    if list(segmentation["size"]) != [size[1], size[0]]:
        raise ValueError(f"a mask of another size than {size[0]}x{size[1]}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        counts = _decompress(counts)
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("a mask with counts that are no positive integers")
    if sum(counts) != size[0] * size[1]:
        raise ValueError("a mask whose counts do not add up to its pixels")
    return list(counts)


def to_mask(counts: list[int], size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """Returns the mask that counts of `parse_counts` stand for; size is (width, height)."""
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(size).T


def _decompress(text: str) -> list[int]:
    """Each number: groups of five bits, the lowest first, a bit for more, two's complement.

    From the fourth on, numbers are differences to the one two places before.
    """
    counts: list[int] = []
    number, shift = 0, 0
    for character in text:
        code = ord(character) - _OFFSET
        if not 0 <= code < 2 * _MORE or shift > 60:
            raise ValueError("a mask that is no run-length string")
        number |= (code & _VALUE) << shift
        shift += 5
        if code & _MORE:
            continue
        if code & _SIGN:
            number -= 1 << shift
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number, shift = 0, 0
    if shift:
        raise ValueError("a mask that ends within a number")
    return counts
