"""What the readers of all formats share."""

import itertools
import pathlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped

from tracking_tasks.data.sequences import Sequence, natural_key
from tracking_tasks.data.tables import read_lines
from tracking_tasks.errors import InputError

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
        InputError: The list is empty, or a line is no name; names the file and the line.
    """
    names = []
    for number, line in enumerate(read_lines(path), start=1):
        name = line.strip().decode(errors="replace")
        if not name.isprintable() or not name.strip(".") or "/" in name or "\\" in name:
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
) -> Float[np.ndarray, "frames 4"]:
    """Adds rows of zeros where the only true box is that of the first of several frames."""
    if len(boxes) != 1:
        return boxes
    return np.concatenate([boxes, np.zeros((max(len(frames) - 1, 0), 4), np.float32)])


def from_one(boxes: Float[np.ndarray, "rows 4"]) -> Float[np.ndarray, "rows 4"]:
    """Returns boxes whose x and y count from 1, as in MATLAB, counting from 0."""
    return boxes - np.asarray([1, 1, 0, 0], np.float32)


def _first_gap(frames: tuple[pathlib.Path, ...]) -> str:
    """Returns the first number that a series of numbered files lacks, in their notation."""
    for before, after in itertools.pairwise(frames):
        if before.stem.isdecimal() and after.stem.isdecimal():
            number = int(before.stem) + 1
            if int(after.stem) > number:
                return f"{number:0{len(before.stem)}d}{before.suffix}"
    return ""
