"""What the readers of all formats share."""

import itertools
import pathlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Shaped

from basics.errors import InputError
from basics.names import is_name
from tracking_tasks.data.sequences import Sequence, natural_key
from tracking_tasks.data.tables import read_labels, read_lines

# The sequences of a folder by name, each read when it is called.
Found = dict[str, Callable[[], Sequence]]


def require_folder(folder: pathlib.Path) -> None:
    """Raises InputError if the folder is none."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the sequences")


def subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders in a folder in natural order; hidden ones are left out."""
    found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=natural_key)


def read_names(path: pathlib.Path) -> list[str]:
    """Reads a list of names of folders, one a line.

    Raises:
        InputError: the list is empty, or a line is no name; names the file and the line.
    """
    names = []
    for number, line in enumerate(read_lines(path), start=1):
        name = line.strip().decode(errors="replace")
        if not is_name(name):
            raise InputError(
                f"{path}, line {number}: expected the name of a sequence, found {name[:40]!r}"
            )
        names.append(name)
    if not names:
        raise InputError(f"{path} is empty: it must list the sequences, one a line")
    return names


def match(
    path: pathlib.Path,
    rows: Shaped[np.ndarray, "rows *columns"],
    frames: tuple[pathlib.Path, ...],
    folder: pathlib.Path,
) -> None:
    """Raises InputError unless the file has one row a frame and there is a frame at all."""
    if len(rows) == len(frames) > 0:
        return
    message = f"{path} has {len(rows)} lines for {len(frames)} frames in {folder}: "
    gap = _first_gap(frames)
    if gap:
        raise InputError(f"{message}frame {gap} is missing")
    raise InputError(f"{message}there must be one line a frame")


def fill_withheld(
    boxes: Float[np.ndarray, "rows 4"], frames: tuple[pathlib.Path, ...]
) -> tuple[Float[np.ndarray, "filled 4"], bool]:
    """Adds rows of zeros where the truth is withheld after the first of several frames.

    Returns:
        The boxes, and whether there was but one for several frames.
    """
    if not len(boxes) == 1 < len(frames):
        return boxes, False
    return np.concatenate([boxes, np.zeros((len(frames) - 1, 4), np.float32)]), True


def without_size(boxes: Float[np.ndarray, "frames 4"]) -> Bool[np.ndarray, "frames"]:
    """Returns True for the boxes without positive width and height."""
    return ~np.all(boxes[:, 2:] > 0, axis=1)


def from_one(boxes: Float[np.ndarray, "rows 4"]) -> Float[np.ndarray, "rows 4"]:
    """Returns boxes whose x and y count from 1, as in MATLAB, counting from 0."""
    return boxes - np.asarray([1, 1, 0, 0], np.float32)


def file_number(path: pathlib.Path) -> int:
    """Returns the number that a file is named by, -1 if it is named otherwise."""
    return int(path.stem) if path.stem.isdecimal() else -1


def read_attributes(path: pathlib.Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """Reads one flag per attribute and returns the names of those set; none without the file.

    Raises:
        InputError: the file holds something else.
    """
    if not path.exists():
        return ()
    flags = read_labels(path, lines=False)
    if len(flags) != len(names):
        raise InputError(f"{path} has {len(flags)} flags: it must have {len(names)}")
    return tuple(name for name, flag in zip(names, flags, strict=True) if flag)


def _first_gap(frames: tuple[pathlib.Path, ...]) -> str:
    """Returns the first number that a series of numbered files lacks, in their notation."""
    for before, after in itertools.pairwise(frames):
        number = file_number(before) + 1
        if 0 < number < file_number(after):
            return f"{number:0{len(before.stem)}d}{before.suffix}"
    return ""
