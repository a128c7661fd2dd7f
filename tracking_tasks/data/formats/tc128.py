"""TColor-128, Temple Color 128 (Liang, Blasch and Ling 2015)."""

import functools
import pathlib

from basics.errors import InputError
from tracking_tasks.data.formats.common import (
    Found,
    file_number,
    from_one,
    match,
    require_folder,
    subfolders,
)
from tracking_tasks.data.sequences import Sequence, list_images
from tracking_tasks.data.tables import parse_numbers, read_boxes, read_lines, refuse, split_fields


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of a folder in the layout of TColor-128.

    Each sub-folder is a sequence: `<Name>/img/0001.jpg ...`, the numbers of its first and last
    annotated frame in `<Name>/<Name>_frames.txt`, and a box for each of those frames in
    `<Name>/<Name>_gt.txt`, whose x and y count from 1.

    Raises:
        InputError: the folder holds no such sequence, or one lacks its frames.
    """
    require_folder(folder)
    found: Found = {}
    for video in subfolders(folder):
        truth = video / f"{video.name}_gt.txt"
        if truth.is_file():
            if not (video / "img").is_dir():
                raise InputError(f"{video / 'img'} does not exist: it must hold the frames")
            found[video.name] = functools.partial(_read, video, truth)
    if not found:
        raise InputError(
            f"{folder} holds no sequence of TColor-128: expected <Name>/img/0001.jpg, "
            "<Name>/<Name>_frames.txt and <Name>/<Name>_gt.txt"
        )
    return found


def _read(video: pathlib.Path, truth: pathlib.Path) -> Sequence:
    first, last = _annotated(video / f"{video.name}_frames.txt")
    images = list_images(video / "img")
    frames = tuple(image for image in images if first <= file_number(image) <= last)
    boxes = read_boxes(truth, nan_is_absent=True)
    match(truth, boxes, frames, video / "img")
    return Sequence(video.name, frames, from_one(boxes))


def _annotated(path: pathlib.Path) -> tuple[int, int]:
    """The numbers of the first and the last frame that has a box."""
    lines = read_lines(path)
    line = lines[0] if len(lines) == 1 else b""
    try:
        first, last = parse_numbers(split_fields(line))
    except ValueError:
        first, last = 0.0, 0.0
    if not (first.is_integer() and last.is_integer() and 0 < first <= last):
        expected = "one line: the numbers of the first and the last frame"
        raise refuse(path, 1, line, expected)
    return int(first), int(last)
