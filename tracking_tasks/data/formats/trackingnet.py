"""TrackingNet (Mueller et al. 2018)."""

import functools
import pathlib

from basics.errors import InputError
from tracking_tasks.data.formats.common import (
    Found,
    fill_withheld,
    match,
    require_folder,
    subfolders,
    without_size,
)
from tracking_tasks.data.sequences import Sequence, list_images, natural_key
from tracking_tasks.data.tables import read_boxes

SPLITS = ("train", "test")


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of TrackingNet, or of one of its folders `TRAIN_0` ... and `TEST`.

    Each folder holds `anno/<id>.txt` and `frames/<id>/0.jpg, 1.jpg, ...`. Boxes count from 0, and
    the target is absent where they have no size. The truth of the test sequences is withheld: one
    line.

    Raises:
        InputError: there is no such folder.
    """
    require_folder(folder)
    parts = [folder]
    if split or not (folder / "anno").is_dir():
        wanted = "TEST" if split == "test" else "TRAIN_" if split else ("TRAIN_", "TEST")
        parts = [part for part in subfolders(folder) if part.name.startswith(wanted)]
    found: Found = {
        path.stem: functools.partial(_read, path)
        for part in parts
        for path in sorted((part / "anno").glob("*.txt"), key=natural_key)
    }
    if not found:
        raise InputError(
            f"{folder} holds no TrackingNet sequence: expected TRAIN_0/anno/<id>.txt and "
            "TRAIN_0/frames/<id>/0.jpg"
        )
    return found


def _read(path: pathlib.Path) -> Sequence:
    folder = path.parent.parent / "frames" / path.stem
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: it must hold the frames of {path.name}")
    frames = list_images(folder)
    boxes, withheld = read_boxes(path), False
    if not path.parent.parent.name.startswith("TRAIN_"):  # there, one line is damage
        boxes, withheld = fill_withheld(boxes, frames)
    match(path, boxes, frames, folder)
    absent = None if withheld else without_size(boxes)
    return Sequence(path.stem, frames, boxes, absent=absent)
