"""The Object Tracking Benchmark (OTB-50, OTB-100; Wu et al. 2013, 2015)."""

import functools
import io
import pathlib
import re

import numpy as np
from PIL import Image

from basics.errors import InputError
from basics.files import write_atomic
from tracking_tasks.data.formats.common import (
    Found,
    file_number,
    from_one,
    match,
    read_attributes,
    require_folder,
    subfolders,
)
from tracking_tasks.data.sequences import Sequence, list_images
from tracking_tasks.data.tables import read_boxes, read_lines

# First and last file number of the part that OTB annotates (configSeqs.m of its toolkit), where
# that is not all from 1 on.
_RANGES = {
    "BlurCar1": (247, 988),
    "BlurCar3": (3, 359),
    "BlurCar4": (18, 397),
    "David": (300, 770),
    "Diving": (1, 215),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
}
# The order of the flags in the toolkit's anno/att/<Name>.txt (perfPlot.m).
_ATTRIBUTES = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of a folder in the layout of OTB.

    Each sub-folder is a video: `<Name>/img/0001.jpg ...` with `groundtruth_rect.txt`, or one
    `groundtruth_rect.<n>.txt` per target, which makes the sequences `<Name>.1`, `<Name>.2`; an
    empty numbered file is no target (Human4). The published x and y count from 1. Of folders that
    hold more frames than OTB annotates, only the annotated part is read. Tiger1 is read whole,
    like OTB's own table says; pytracking leaves out its first five frames. Attributes come from
    the toolkit's `att/<Name>.txt` (eleven flags), if it lies in the folder.

    Raises:
        InputError: the folder holds no such video, or a video lacks its truth or its frames.
    """
    require_folder(folder)
    found: Found = {}
    for video in subfolders(folder):
        for path in _truths(video):
            target = path.name.removeprefix("groundtruth_rect").removesuffix(".txt")
            found[video.name + target] = functools.partial(_read, path, video.name + target)
    if not found:
        raise InputError(
            f"{folder} holds no OTB sequence: expected <Name>/img/0001.jpg and "
            "<Name>/groundtruth_rect.txt"
        )
    return found


def _truths(video: pathlib.Path) -> list[pathlib.Path]:
    truths = sorted(
        path
        for path in video.iterdir()
        if re.fullmatch(r"groundtruth_rect(\.[0-9]+)?\.txt", path.name)
    )
    images = video / "img"
    if not truths and images.is_dir():
        raise InputError(f"{video} has no groundtruth_rect.txt beside its img folder")
    if truths and not images.is_dir():
        raise InputError(f"{images} does not exist: it must hold the frames of {truths[0].name}")
    return [path for path in truths if path.name == "groundtruth_rect.txt" or read_lines(path)]


def _read(path: pathlib.Path, name: str) -> Sequence:
    video = path.parent
    frames = list_images(video / "img")
    if video.name in _RANGES:
        first, last = _RANGES[video.name]
        frames = tuple(frame for frame in frames if first <= file_number(frame) <= last)
    boxes = read_boxes(path, nan_is_absent=True)
    match(path, boxes, frames, video / "img")
    attributes = read_attributes(video.parent / "att" / f"{video.name}.txt", _ATTRIBUTES)
    return Sequence(name, frames, from_one(boxes), attributes=attributes)


def write(folder: pathlib.Path, sequence: Sequence) -> None:
    """Writes one sequence in this layout: frames as JPEG, x and y from 1, the eleven attributes.

    The truth is written last, so that a folder without it was not finished.
    """
    video = folder / sequence.name
    for index in range(len(sequence)):
        buffer = io.BytesIO()
        Image.fromarray(sequence.frame(index)).save(buffer, "JPEG", quality=95, subsampling=0)
        write_atomic(video / "img" / f"{index + 1:04d}.jpg", buffer.getvalue())
    flags = [str(int(name in sequence.attributes)) for name in _ATTRIBUTES]
    write_atomic(folder / "att" / f"{sequence.name}.txt", ",".join(flags) + "\n")
    rows = np.where(sequence.annotated[:, None], sequence.boxes + np.array([1, 1, 0, 0]), 0)
    lines = [",".join(f"{value:.8g}" for value in row) for row in rows]
    write_atomic(video / "groundtruth_rect.txt", "\n".join(lines) + "\n")
