"""Copies of real videos that are harder to see.

They are dark, grey, blurred, noisy, coarse or shaken, or something hides the target now and then.
"""

import dataclasses
import functools
import io
import pathlib
import zlib
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from basics.errors import InputError
from basics.files import write_atomic
from tracking_tasks.data.degradation import Degradation, degrade
from tracking_tasks.data.sequences import Sequence

SHAKE = 0.03  # largest displacement of a shaken frame along an axis, of its longer side (here)
_QUALITY = 95  # of the copies, which are JPEG files

# How bad, in grey levels and pixels of frames of 400 (here). "half" shows what a video of half the
# size does, in pixels of the whole one.
KINDS: dict[str, Degradation] = {
    "dark": Degradation(gamma=1.5, gains=(0.3, 0.3, 0.3), noise=3.0),
    "grey": Degradation(contrast=0.5, colour=0.0),
    "blurred": Degradation(blur=1.5, motion=(5.0, 2.0)),
    "noisy": Degradation(noise=14.0, step=16.0),
    "half": Degradation(shrink=2.0),
    "shaken": Degradation(),
}

HIDDEN = "hidden"  # a kind, too: of some frames a part is covered
# Of each PERIOD frames the target is seen in FIRST, then hidden for one of these times, as behind a
# pole or a car; what covers it is wider by a factor (here).
PERIOD, FIRST, _TIMES, _COVER = 45, 20, (6, 12, 20), 1.4


def degraded_copy(
    sequence: Sequence, kind: str, folder: pathlib.Path, frames: Iterable[int]
) -> Sequence:
    """The same target in a video made worse; what frames are made is kept in files and read again.

    Args:
        sequence: the whole sequence, of image files. Copies of a frame are the same each time.
        kind: one of `KINDS`, or `HIDDEN`.
        folder: where copies are kept, a file a frame: `<folder>/<sequence>/<kind>/<frame>.jpg`.
        frames: numbers of the frames that are needed; the others keep the path of the original.

    Returns:
        The sequence with the files of the copies and, if shaken, boxes that move along; where the
        target is hidden, boxes are zero.

    Raises:
        InputError: the kind is unknown, or a frame cannot be read.
    """
    if kind not in (*KINDS, HIDDEN):
        known = ", ".join((*KINDS, HIDDEN))
        raise InputError(f"unknown degradation {kind!r}: known are {known}")
    paths, boxes = list(sequence.frames), sequence.boxes.copy()
    for index in frames:
        seed = [zlib.crc32(sequence.name.encode()), index]
        if kind == HIDDEN and not is_hidden(*seed):
            continue
        path = folder / sequence.name / kind / f"{index + 1:04d}.jpg"
        shift = np.zeros(2, int)
        if kind == "shaken":
            reach = round(SHAKE * max(sequence.frame(index).shape[:2]))
            shift = np.random.default_rng(seed).integers(-reach, reach, 2, endpoint=True)
        if not path.exists():
            frame = sequence.frame(index)
            if kind == HIDDEN:
                copy = covered(frame, sequence.boxes[index])
            else:
                copy = _degraded(frame, kind, seed, shift)
            buffer = io.BytesIO()
            Image.fromarray(copy).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
            write_atomic(path, buffer.getvalue())
        paths[index] = path
        boxes[index, :2] += shift
        if kind == HIDDEN:
            boxes[index] = 0
    return dataclasses.replace(sequence, frames=tuple(paths), boxes=boxes)


def is_hidden(target: int, index: int) -> bool:
    """Whether the target of this number is hidden in a frame of its video."""
    turn, frame = divmod(index, PERIOD)
    return 0 <= frame - FIRST < _TIMES[(target + turn) % len(_TIMES)]


def covered(
    image: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The image with a pole in front of a box, a strip from the farther border, upside down."""
    width = image.shape[1]
    pole = min(width, int(np.ceil(_COVER * box[2])))
    center = box[0] + box[2] / 2
    left = int(np.clip(np.round(center - pole / 2), 0, width - pole))
    strip = image[::-1, :pole] if center > width / 2 else image[::-1, width - pole :]
    found = image.copy()
    found[:, left : left + pole] = strip
    return found


def shifted(
    image: UInt8[np.ndarray, "h w 3"], shift: Int[np.ndarray, "2"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The image moved by whole pixels x, y; its border is repeated where nothing is known."""
    rows, columns = (np.arange(n) - by for n, by in zip(image.shape[:2], shift[::-1], strict=True))
    return image[rows.clip(0, len(rows) - 1)][:, columns.clip(0, len(columns) - 1)]


def _degraded(
    image: UInt8[np.ndarray, "h w 3"], kind: str, seed: list[int], shift: Int[np.ndarray, "2"]
) -> UInt8[np.ndarray, "h w 3"]:
    if kind == "shaken":
        return shifted(image, shift)
    key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
    how = jax.tree.map(jnp.float32, KINDS[kind])
    return np.asarray(_jitted()(jnp.asarray(image, jnp.float32), how, key)).astype(np.uint8)


@functools.cache
def _jitted():
    """Compiled once for each size of frame."""
    return jax.jit(degrade)
