"""Reading packed data sets: any frame of any sequence, without the others."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float

from basics.errors import InputError
from basics.files import parse_json, require_regular
from basics.names import require_name
from tracking_tasks.data.packed import layout


class PackedSequence(NamedTuple):
    """One target.

    Attributes:
        name: unique within its data set.
        first: number of its first frame in the data set; the others follow.
        boxes: x, y, width, height in pixels of the packed frames; zeros where it cannot be seen.
        visible: the share of it that can be seen, in [0, 1].
    """

    name: str
    first: int
    boxes: Float[np.ndarray, "frames 4"]
    visible: Float[np.ndarray, " frames"]


class PackedDataset:
    """A packed folder: its sequences by index, and its frames by number.

    Nothing is held in memory, and many threads may read at once. Missing files and files that were
    cut off are noticed when the folder is opened, other damage when it is read.

    Args:
        folder: written by `pack`.

    Attributes:
        folder: the same.
        name: of the data set.
        frames: number of frames.

    Raises:
        InputError: the folder is no packed data set, or damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(folder)
        path = self.folder / layout.MANIFEST
        require_regular(path)
        try:
            manifest = parse_json(path.read_bytes())
            self.name, self.frames = str(manifest["name"]), int(manifest["frames"])
            self._sequences = int(manifest["sequences"])
            inventory = {key: manifest[key] for key in ("format", "files")}
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise InputError(
                f"{folder} is no packed data set: give a folder written by experiments.pack"
            ) from error
        if inventory != layout.inventory(self.folder):
            raise self._damaged("its files are not those that were written")
        self._images = self._open("frames", self.frames)
        self._targets = self._open("sequences", self._sequences)

    def __len__(self) -> int:
        """Returns the number of sequences."""
        return self._sequences

    def __getitem__(self, index: int) -> PackedSequence:
        """Reads a sequence; raises InputError if it is damaged."""
        record = self._read(self._targets, index)
        try:
            name, first = require_name(record["name"].decode()), int(record["first"])
            boxes = np.asarray(record["boxes"], np.float32).reshape(-1, 4)
            visible = np.asarray(record["visible"], np.float32).reshape(-1)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(f"sequence {index} is of another form") from error
        sound = len(boxes) == len(visible) > 0 and np.isfinite(boxes).all()
        if not sound or not 0 < visible.max() <= 1 or not visible.min() >= 0:
            raise self._damaged(f"sequence {index} has no target that can be seen")
        if not 0 <= first <= self.frames - len(boxes):
            raise self._damaged(f"sequence {index} does not fit its frames")
        return PackedSequence(name, first, boxes, visible)

    def image(self, number: int) -> bytes:
        """Reads the image file of a frame; raises InputError if it is damaged."""
        return bytes(self._read(self._images, number)["image"])

    def _open(self, name: str, count: int) -> Sequence[Any]:
        try:
            builder = tfds.builder_from_directory(self.folder / name / layout.VERSION)
            decoders = {"image": tfds.decode.SkipDecoding()} if name == "frames" else None
            source = builder.as_data_source(layout.SPLIT, decoders=decoders)
            found = len(source)
        except Exception as error:  # TFDS reports damage by many types
            raise self._damaged(f"{name} cannot be opened") from error
        if found != count:
            raise self._damaged(f"{name} holds {found} records in place of {count}")
        return source

    def _read(self, source: Sequence[Any], index: int) -> dict[str, Any]:
        try:
            return source[index]
        except Exception as error:  # array_record and protobuf report damage by many types
            raise self._damaged(f"record {index} cannot be read") from error

    def _damaged(self, what: str) -> InputError:
        return InputError(f"{self.folder} is damaged, {what}: pack the data set again")
