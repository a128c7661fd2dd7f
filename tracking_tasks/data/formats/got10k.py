"""GOT-10k (Huang et al. 2019)."""

import configparser
import functools
import pathlib

import numpy as np
from jaxtyping import Int

from basics.errors import InputError, said_by
from tracking_tasks.data.formats.common import (
    Found,
    fill_withheld,
    match,
    read_names,
    require_folder,
)
from tracking_tasks.data.sequences import Sequence, list_images
from tracking_tasks.data.tables import read_boxes, read_labels

SPLITS = ("train", "val", "test")
_FULL_COVER = 8  # cover.label counts the visible eighths of the target


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of GOT-10k, or of one of its folders `train`, `val` and `test`.

    `list.txt` names the sequences: `<name>/00000001.jpg ...`, `groundtruth.txt` (x, y, width and
    height, from 0 as the toolkit's clipping to the image has them), `absence.label` (absent),
    `cover.label` (the visible share in eighths), `cut_by_image.label` and `meta_info.ini` (the
    category). The truth of the test sequences is withheld: one line, no labels.

    Raises:
        InputError: there is no `list.txt`, or it is empty or damaged.
    """
    require_folder(folder)
    parts = [folder / name for name in ((split,) if split else SPLITS)]
    if split is None and (folder / "list.txt").is_file():
        parts = [folder]
    found: Found = {}
    for part in parts:
        if (part / "list.txt").is_file():
            for name in read_names(part / "list.txt"):
                found[name] = functools.partial(_read, part / name)
    if not found:
        raise InputError(
            f"{folder} holds no GOT-10k sequence: expected {split or 'train, val or test'}/list.txt"
        )
    return found


def _read(video: pathlib.Path) -> Sequence:
    if not video.is_dir():
        raise InputError(f"{video} does not exist: restore it or strike it off list.txt")
    frames = list_images(video)
    path = video / "groundtruth.txt"
    boxes, withheld = read_boxes(path), False
    if video.parent.name not in ("train", "val"):  # there, one line is damage
        boxes, withheld = fill_withheld(boxes, frames)
    match(path, boxes, frames, video)
    if withheld:
        return Sequence(video.name, frames, boxes, category=_category(video))
    labels = functools.partial(_labels, video, frames)
    return Sequence(
        video.name,
        frames,
        boxes,
        visible=(labels("cover", _FULL_COVER) / _FULL_COVER).astype(np.float32),
        absent=labels("absence") == 1,
        frame_attributes={"cut_by_image": labels("cut_by_image") == 1},
        category=_category(video),
    )


def _labels(
    video: pathlib.Path, frames: tuple[pathlib.Path, ...], name: str, largest: int = 1
) -> Int[np.ndarray, "frames"]:
    path = video / f"{name}.label"
    labels = read_labels(path, largest)
    match(path, labels, frames, video)
    return labels


def _category(video: pathlib.Path) -> str:
    path = video / "meta_info.ini"
    if not path.exists():
        return ""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is damaged ({said_by(error)}): restore or remove it") from error
    return parser.get("METAINFO", "object_class", fallback="")
