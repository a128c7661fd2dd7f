"""What lies where in a packed folder."""

import pathlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

FORMAT = 1  # of the manifest and of the features: raised when either changes
VERSION = "1.0.0"  # of the two TFDS data sets, part of their folders' names
SPLIT = "train"
MANIFEST = "packed.json"


def features(name: str) -> tfds.features.FeaturesDict:
    """What a record of `frames` and of `sequences` holds.

    Boxes are x, y, w, h in pixels of the packed frames. `visible` is the share of the target that
    can be seen, 0 where it is absent or not annotated. `first` is the record of the first frame.
    """
    if name == "frames":
        return tfds.features.FeaturesDict({"image": tfds.features.Image()})
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            "first": np.int64,
            "boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
            "visible": tfds.features.Tensor(shape=(None,), dtype=np.float32),
        }
    )


def inventory(folder: pathlib.Path) -> dict[str, Any]:
    """The part of the manifest by which damage is noticed: the size of every file in bytes."""
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    return {"format": FORMAT, "files": sizes}
