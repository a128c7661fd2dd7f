"""Reads the boxes that a tracker left on a data set, whoever wrote them."""

import pathlib

import numpy as np
from jaxtyping import Float

from basics.errors import InputError
from basics.names import require_name
from experiments.analysis.evaluation_folder import read_rows
from tracking_tasks.data.sequences import Sequence

# Where a sequence's boxes may lie: this project, GOT-10k's toolkit, and what got10k, pytracking and
# pysot write for OTB and others.
_PLACES = ("boxes/{name}.txt", "{name}/{name}_001.txt", "{name}.txt")


def find_boxes(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """Returns the file with the boxes of a sequence; None if there is none.

    Raises:
        InputError: the name would lead out of the folder.
    """
    require_name(name)
    paths = [folder / place.format(name=name) for place in _PLACES]
    return next((path for path in paths if path.is_file()), None)


def read_published(path: pathlib.Path, sequence: Sequence) -> Float[np.ndarray, "frames 4"]:
    """Reads the boxes of a sequence, counting pixels from 0.

    The first row is the box that the tracker was given. It shows whether the author counted pixels
    from 1, as OTB's and LaSOT's files do; then all rows are moved by one.

    Raises:
        InputError: the file is damaged, or there is not one box a frame.
    """
    boxes = read_rows(path, columns=4)
    if len(boxes) != len(sequence):
        raise InputError(
            f"{path} has {len(boxes)} boxes for the {len(sequence)} frames of {sequence.name}: "
            "give results on this data set"
        )
    from_one = np.array([1, 1, 0, 0], np.float32)
    offset = boxes[0] - sequence.boxes[0]
    return boxes - from_one if np.abs(offset - from_one).max() < 0.5 else boxes
