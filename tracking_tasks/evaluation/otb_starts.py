"""OTB's robustness evaluations: other first boxes (SRE), and later first frames (TRE).

Both make sequences from a sequence, to be run and scored like any other in one pass: the mean over
them is the score, for every sequence makes as many. Wu, Lim, Yang, "Online Object Tracking: A
Benchmark", CVPR 2013, section 4; numbers and rounding from the benchmark's MATLAB code.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from jaxtyping import Float

from basics.errors import InputError
from tracking_tasks.data.sequences import Sequence

SHIFT = 0.1  # of the side
SCALES = (0.8, 0.9, 1.1, 1.2)
STARTS = 20
SHORTEST = 20  # frames that the last start leaves

# Which sides move outwards (1) or inwards (-1): left, top, right, bottom.
_CENTERS = {
    "left": (1, 0, -1, 0),
    "right": (-1, 0, 1, 0),
    "up": (0, 1, 0, -1),
    "down": (0, -1, 0, 1),
}
_CORNERS = {
    "top_left": (1, 1, 0, 0),
    "top_right": (0, 1, 1, 0),
    "bottom_left": (1, 0, 0, 1),
    "bottom_right": (0, 0, 1, 1),
}


def expand(kind: str, sequences: Iterable[Sequence]) -> list[Sequence]:
    """All runs from every sequence, sequence by sequence, each under a name of its own.

    Args:
        kind: one of `KINDS`.
        sequences: the whole sequences.

    Raises:
        InputError: a sequence is too short for "tre".
    """
    return [run for sequence in sequences for run in KINDS[kind](sequence)]


def spatial(sequence: Sequence) -> Iterator[Sequence]:
    """Yields a sequence twelve times, each with another first box (SRE).

    Four shift it by a tenth of its side, rounded up; four move one corner outwards by a tenth; four
    scale it by 0.8, 0.9, 1.1 and 1.2 about its centre. What sticks out of the image is cut off, on
    the left and at the top without making the box smaller, as in the MATLAB code.

    The first truth is the shifted box too, which is what the protocol scores: it replaces the first
    prediction by the first truth.
    """
    height, width = sequence.frame(0).shape[:2]
    for name, box in _perturbed(sequence.boxes[0].astype(np.float64)):
        box[:2] = box[:2].clip(0)
        box[2:] = np.minimum(box[2:], [width - box[0], height - box[1]])
        boxes = np.concatenate([box[None].astype(np.float32), sequence.boxes[1:]])
        yield dataclasses.replace(sequence, name=f"{sequence.name}_{name}", boxes=boxes)


def temporal(sequence: Sequence) -> Iterator[Sequence]:
    """Yields the rest of a sequence from each of twenty frames on (TRE); the first time all of it.

    The starts are spread evenly over the annotated frames that leave at least twenty.

    Raises:
        InputError: the sequence is shorter than that.
    """
    inside = (sequence.boxes + np.array([1, 1, 0, 0]) > 0).all(axis=1)  # x and y counted from 1
    usable = np.flatnonzero(inside)
    usable = usable[usable <= len(sequence) - SHORTEST]
    if len(usable) == 0:
        raise InputError(f"sequence {sequence.name} is too short: {SHORTEST} frames are needed")
    spread = np.floor(1 + np.arange(STARTS - 1) * (len(usable) / (STARTS - 1))).astype(int)
    chosen = np.append(spread.clip(max=len(usable)), len(usable)) - 1
    for number, start in enumerate(usable[chosen].tolist(), start=1):
        yield part(sequence, range(start, len(sequence)), f"{sequence.name}_{number:02d}")


def part(sequence: Sequence, frames: range, name: str) -> Sequence:
    """Returns successive frames of a sequence under another name, with all that is said of them."""
    chosen = slice(frames.start, frames.stop)
    per_frame = {
        field: getattr(sequence, field)[chosen]
        for field in ("frames", "boxes", "visible", "absent", "anchors", "polygons")
        if getattr(sequence, field) is not None
    }
    flags = {key: values[chosen] for key, values in sequence.frame_attributes.items()}
    return dataclasses.replace(sequence, name=name, frame_attributes=flags, **per_frame)


def _perturbed(
    box: Float[np.ndarray, "4"],
) -> Iterator[tuple[str, Float[np.ndarray, "4"]]]:
    position, sides = box[:2] + 1, box[2:]  # the code rounds what counts from 1
    step = np.tile(SHIFT * sides, 2)
    edges = np.concatenate([position, position + sides - 1])
    for name, moves in _CENTERS.items():
        moved = edges + np.ceil(step) * moves * [-1, -1, 1, 1]
        yield name, _box(moved)
    for name, moves in _CORNERS.items():
        moved = edges + step * moves * [-1, -1, 1, 1]
        yield name, _box(np.where(np.array(moves), _rounded(moved), edges))
    for scale in SCALES:
        corner = position + sides / 2 - scale * sides / 2
        rounded = _rounded(np.concatenate([corner, scale * sides]))
        yield f"scale_{round(10 * scale)}", rounded - [1, 1, 0, 0]


def _box(edges: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    return np.concatenate([edges[:2] - 1, edges[2:] - edges[:2] + 1])


def _rounded(values: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    """Rounds halves away from zero, as MATLAB does."""
    return np.trunc(values + np.copysign(0.5, values))


KINDS: dict[str, Callable[[Sequence], Iterable[Sequence]]] = {
    "first": lambda sequence: [sequence],
    "sre": spatial,
    "tre": temporal,
}
