"""LaSOT (Fan et al. 2019)."""

import functools
import pathlib

import numpy as np
from jaxtyping import Bool

from basics.errors import InputError
from tracking_tasks.data.formats.common import (
    Found,
    from_one,
    match,
    read_names,
    require_folder,
    subfolders,
)
from tracking_tasks.data.sequences import Sequence, list_images
from tracking_tasks.data.tables import read_boxes, read_labels

# The lists that the toolkit gives, put beside the categories.
_LISTS = {"train": "training_set.txt", "test": "testing_set.txt"}
SPLITS = tuple(_LISTS)


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of LaSOT, `<category>/<category>-<n>`, or of a folder of one category.

    A sequence holds `img/00000001.jpg ...`, `groundtruth.txt` (x and y from 1), and
    `full_occlusion.txt` and `out_of_view.txt`: flags on one line, or one a line. The target is
    absent where either is set. `nlp.txt` is not read. A split is what `training_set.txt` or
    `testing_set.txt` in the folder lists. Of monkey-17, whose truth ends early (the toolkit keeps
    2,260 frames), the frames with a truth are read.

    Raises:
        InputError: there is no such sequence, or the list of the split is missing or damaged.
    """
    require_folder(folder)
    if split is not None:
        names = read_names(folder / _LISTS[split])
        return {name: functools.partial(_read, _place(folder, name)) for name in names}
    videos = [
        video
        for outer in subfolders(folder)
        for video in (subfolders(outer) if not (outer / "img").is_dir() else [outer])
        if (video / "groundtruth.txt").exists() or (video / "img").is_dir()
    ]
    if not videos:
        raise InputError(
            f"{folder} holds no LaSOT sequence: expected <category>/<category>-1/img/00000001.jpg "
            "and groundtruth.txt"
        )
    return {video.name: functools.partial(_read, video) for video in videos}


def _place(folder: pathlib.Path, name: str) -> pathlib.Path:
    nested = folder / name.rpartition("-")[0] / name
    return nested if nested.is_dir() else folder / name


def _read(video: pathlib.Path) -> Sequence:
    if not (video / "img").is_dir():
        raise InputError(f"{video / 'img'} does not exist: it must hold the frames of {video.name}")
    frames = list_images(video / "img")
    path = video / "groundtruth.txt"
    boxes = read_boxes(path, nan_is_absent=True)
    if video.name == "monkey-17":
        frames = frames[: len(boxes)]
    match(path, boxes, frames, video / "img")
    occluded = _flags(video, frames, "full_occlusion")
    outside = _flags(video, frames, "out_of_view")
    return Sequence(
        video.name,
        frames,
        from_one(boxes),
        absent=occluded | outside,
        frame_attributes={"full_occlusion": occluded, "out_of_view": outside},
        category=video.name.rpartition("-")[0],
    )


def _flags(
    video: pathlib.Path, frames: tuple[pathlib.Path, ...], name: str
) -> Bool[np.ndarray, "frames"]:
    path = video / f"{name}.txt"
    flags = read_labels(path, lines=False)
    if video.name == "monkey-17":
        flags = flags[: len(frames)]
    if len(flags) != len(frames):
        raise InputError(f"{path} has {len(flags)} flags for {len(frames)} frames: one is needed")
    return flags == 1
