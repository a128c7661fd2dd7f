"""Real videos in which the target is away for a while, to calibrate and to judge `present`.

Benchmarks of short videos hardly show a target that is gone. Here it is taken away from real ones,
in the ways that users meet: the picture goes black, the video cuts to another scene, something
stands in front of the target.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Picture

from tracking_tasks.data.sequences import Sequence

Image = UInt8[np.ndarray, "height width 3"]

LEAD, AWAY, BACK = 12, 5, 6  # frames before the first absence, of each, and after each
RETURN = 30  # frames after a target came back elsewhere
_CANVAS = (2, 3)  # rows and columns of pictures that a scene has room for
_COVER = 1.4  # sides of what hides the target, in the target's


def _black(image: Image, box: np.ndarray, other: Image) -> Image:
    return np.zeros_like(image)


def _cut(image: Image, box: np.ndarray, other: Image) -> Image:
    height, width = image.shape[:2]
    return np.asarray(Picture.fromarray(other).resize((width, height)))


def _hidden(image: Image, box: np.ndarray, other: Image) -> Image:
    """Something of another video stands in front of the target."""
    height, width = image.shape[:2]
    center, half = box[:2] + box[2:] / 2, _COVER * box[2:] / 2
    left, top = np.clip(np.floor(center - half), 0, [width - 2, height - 2]).astype(int)
    right, bottom = np.clip(np.ceil(center + half), [left + 1, top + 1], [width, height]).astype(
        int
    )
    covered = image.copy()
    patch = Picture.fromarray(other).resize((int(right - left), int(bottom - top)))
    covered[top:bottom, left:right] = np.asarray(patch)
    return covered


KINDS: dict[str, Callable[[Image, np.ndarray, Image], Image]] = {
    "black": _black,
    "cut": _cut,
    "hidden": _hidden,
}


def with_absences(sequence: Sequence, other: Sequence) -> Sequence:
    """The beginning of a sequence, with an absence of each of `KINDS` put in.

    While the target is away the sequence stands still, so that it comes back where it was.

    Args:
        sequence: a target that is always seen, of at least LEAD + 3 BACK frames, else all of it.
        other: a video without that target, which other scenes and things come from.

    Returns:
        Frames, boxes (zeros where the target is away), `absent` and, by kind, `frame_attributes`.
    """
    frames: list[Image] = []
    boxes: list[np.ndarray] = []
    kinds: list[str] = []

    def add(image: Image, box: np.ndarray, kind: str = "") -> None:
        frames.append(image)
        boxes.append(np.zeros(4, np.float32) if kind else box)
        kinds.append(kind)

    for index in range(min(len(sequence), LEAD + len(KINDS) * BACK)):
        image, box = sequence.frame(index), sequence.boxes[index]
        add(image, box)
        turn, rest = divmod(index + 1 - LEAD, BACK)
        if rest == 0 and 0 <= turn < len(KINDS):
            name = list(KINDS)[turn]
            for step in range(AWAY):
                add(KINDS[name](image, box, other.frame(step % len(other))), box, name)
    return dataclasses.replace(
        sequence,
        frames=tuple(frames),
        boxes=np.stack(boxes),
        visible=None,
        polygons=None,
        anchors=None,
        absent=np.array([kind != "" for kind in kinds]),
        frame_attributes={name: np.array([kind == name for kind in kinds]) for name in KINDS},
    )


def coming_back_elsewhere(sequence: Sequence, other: Sequence, seed: int) -> Sequence:
    """A sequence inside a larger scene; the target goes away, and comes back in another place.

    Args:
        sequence: a target that is seen in its first LEAD + RETURN frames.
        other: a video without that target; its first frame is the scene.
        seed: of the two places, which are in different sixths of the scene.

    Returns:
        LEAD frames, AWAY without the target (boxes of zeros), RETURN with it elsewhere.
    """
    height, width = sequence.frame(0).shape[:2]
    rows, columns = _CANVAS
    size = (columns * width, rows * height)
    scene = np.asarray(Picture.fromarray(other.frame(0)).resize(size))
    first, second = np.random.default_rng(seed).permutation(rows * columns)[:2]
    frames, boxes = [], []
    for index in range(LEAD + RETURN):
        row, column = divmod(int(first if index < LEAD else second), columns)
        top, left = row * height, column * width
        image = scene.copy()
        image[top : top + height, left : left + width] = sequence.frame(index)
        frames.append(image)
        boxes.append(sequence.boxes[index] + np.array([left, top, 0, 0], np.float32))
        if index == LEAD - 1:
            frames += [scene] * AWAY
            boxes += [np.zeros(4, np.float32)] * AWAY
    return Sequence(sequence.name, tuple(frames), np.stack(boxes).astype(np.float32))
