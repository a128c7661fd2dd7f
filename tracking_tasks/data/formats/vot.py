"""VOT: the folders of the VOT challenges, before 2020 and since."""

import functools
import pathlib

import numpy as np
from jaxtyping import Bool, Int

from basics.errors import InputError
from basics.names import inside
from tracking_tasks.data.formats import regions
from tracking_tasks.data.formats.common import (
    Found,
    match,
    read_names,
    require_folder,
    subfolders,
    without_size,
)
from tracking_tasks.data.sequences import Sequence, list_images
from tracking_tasks.data.tables import parse_numbers, read_labels, read_lines, refuse


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences that `list.txt` names, or all where there is no list.

    Since 2020: `<name>/sequence` (lines `key=value`; `channels.color` says where the frames are),
    `groundtruth.txt`, or a `groundtruth_<id>.txt` per target (sequences `<name>.<id>`), and
    `anchor.value`. Before: `<name>/color/00000001.jpg` or `<name>/00000001.jpg` and
    `groundtruth.txt`. A line of truth is a region, see `regions`; coordinates count from 0.
    `<tag>.tag` or `<tag>.label` say in which frames a tag holds. A target without a region is
    absent.

    Raises:
        InputError: there is no such sequence, or the list is damaged.
    """
    require_folder(folder)
    listed = folder / "list.txt"
    if listed.is_file():
        videos = [folder / name for name in read_names(listed)]
    else:
        videos = subfolders(folder)
    found: Found = {}
    for video in videos:
        for path in _truths(video, required=listed.is_file()):
            target = path.stem.removeprefix("groundtruth").replace("_", ".", 1)
            found[video.name + target] = functools.partial(_read, path, video.name + target)
    if not found:
        raise InputError(
            f"{folder} holds no VOT sequence: expected <name>/groundtruth.txt and "
            "<name>/color/00000001.jpg"
        )
    return found


def _truths(video: pathlib.Path, required: bool) -> list[pathlib.Path]:
    truths = sorted(video.glob("groundtruth_*.txt"))
    single = video / "groundtruth.txt"
    if not truths and single.exists():
        truths = [single]
    if not truths and (required or (video / "sequence").exists()):
        raise InputError(f"{single} does not exist: restore it from the data set")
    return truths


def _read(path: pathlib.Path, name: str) -> Sequence:
    video = path.parent
    folder = _frames_folder(video)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: it must hold the frames of {path}")
    frames = list_images(folder)
    truth = regions.read_regions(path)
    match(path, truth.boxes, frames, folder)
    tags = {
        tag.stem: _padded(tag, read_labels(tag) == 1, len(frames))
        for suffix in ("tag", "label")
        for tag in sorted(video.glob(f"*.{suffix}"))
    }
    return Sequence(
        name,
        frames,
        truth.boxes,
        absent=without_size(truth.boxes),
        frame_attributes=tags,
        anchors=_anchors(video / "anchor.value", len(frames)),
        polygons=truth.polygons,
    )


def _frames_folder(video: pathlib.Path) -> pathlib.Path:
    """Returns where the colour frames are; the first channel where there is no colour."""
    channels = {}
    if (video / "sequence").exists():
        for number, line in enumerate(read_lines(video / "sequence"), start=1):
            key, equals, value = line.decode(errors="replace").strip().partition("=")
            if not equals or not value.isprintable():
                raise refuse(video / "sequence", number, line, "key=value")
            if key.strip().startswith("channels.") and value.strip():
                channels[key.strip()] = value.strip().replace("\\", "/")
    channel = channels.get("channels.color", next(iter(channels.values()), None))
    if channel is None:
        return video / "color" if (video / "color").is_dir() else video
    pattern = inside(video, channel)
    return pattern.parent if "%" in pattern.name else pattern


def _anchors(path: pathlib.Path, length: int) -> Int[np.ndarray, "frames"] | None:
    if not path.exists():
        return None
    values = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            (value,) = parse_numbers([line.strip()])
        except ValueError:
            value = float("nan")
        if value != value:
            raise refuse(path, number, line, "a number")
        values.append(int(np.sign(value)))
    return _padded(path, np.asarray(values, int), length)


def _padded(
    path: pathlib.Path, values: Bool[np.ndarray, "rows"] | Int[np.ndarray, "rows"], length: int
) -> Bool[np.ndarray, "frames"] | Int[np.ndarray, "frames"]:
    """Returns one value a frame; as in the toolkit, those that a short file leaves out are 0."""
    if len(values) > length:
        raise InputError(f"{path} has {len(values)} lines for {length} frames: shorten it")
    return np.concatenate([values, np.zeros(length - len(values), values.dtype)])
