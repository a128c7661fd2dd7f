"""NfS, Need for Speed (Kiani Galoogahi et al. 2017)."""

import functools
import pathlib

import numpy as np
from jaxtyping import Float

from basics.errors import InputError
from tracking_tasks.data.formats.common import Found, match, require_folder, subfolders
from tracking_tasks.data.sequences import Sequence, list_images, natural_key
from tracking_tasks.data.tables import parse_numbers, read_boxes, read_lines, refuse, split_fields

SPLITS = ("30", "240")
_STRIDE = 8  # the truth is given at 240 frames a second, at 30 too
_FIELDS = 9  # track, xmin, ymin, xmax, ymax, frame, lost, occluded, generated


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of NfS at 30 frames a second (the default) or 240.

    As published: `<name>/30/<name>/00001.jpg ...` with `<name>/30/<name>.txt`, whose lines are
    those of VATIC: track, xmin, ymin, xmax, ymax, frame, lost, occluded, generated, "label";
    corners count from 0, frames from 0 or 1. At 30 frames a second every eighth is of use. The
    target is absent where it is lost. Or as pytracking asks for: `sequences/<name>/00001.jpg ...`
    with `anno/nfs_<name>.txt`, x, y, width and height a line, NaN where there is none.

    Raises:
        InputError: there is no such sequence.
    """
    require_folder(folder)
    rate = split or "30"
    found: Found = {}
    for path in sorted((folder / "anno").glob("*.txt"), key=natural_key):
        name = path.stem.removeprefix("nfs_")
        found[name] = functools.partial(_read_plain, path, folder / "sequences" / name, name)
    for video in subfolders(folder):
        if (video / rate).is_dir():
            found[video.name] = functools.partial(_read_vatic, video / rate, video.name)
    if not found:
        raise InputError(
            f"{folder} holds no NfS sequence: expected <name>/{rate}/<name>.txt and "
            f"<name>/{rate}/<name>/00001.jpg"
        )
    return found


def _read_plain(path: pathlib.Path, folder: pathlib.Path, name: str) -> Sequence:
    frames = _frames(folder, path)
    boxes = read_boxes(path, nan_is_absent=True)
    match(path, boxes, frames, folder)
    return Sequence(name, frames, boxes)


def _read_vatic(folder: pathlib.Path, name: str) -> Sequence:
    path = folder / f"{name}.txt"
    frames = _frames(folder / name, path)
    rows = _read_rows(path)
    index = rows[:, 5].astype(int) - min(int(rows[0, 5]), 1)
    if folder.name == "30":
        rows, index = rows[index % _STRIDE == 0], index[index % _STRIDE == 0] // _STRIDE
    # Truth and frames may differ by one; that of pingpong_2 goes on after its last frame.
    reached = index[-1] + 1 if len(index) else 0
    if abs(reached - len(frames)) > 1 and name != "pingpong_2":
        raise InputError(
            f"{path} reaches frame {reached} of {len(frames)} in {folder / name}: restore what is "
            "missing"
        )
    rows, index = rows[index < len(frames)], index[index < len(frames)]
    boxes = np.zeros((len(frames), 4), np.float32)
    boxes[index] = np.concatenate([rows[:, 1:3], rows[:, 3:5] - rows[:, 1:3]], axis=1)
    lost, occluded = np.zeros((2, len(frames)), bool)
    lost[index], occluded[index] = rows[:, 6] > 0, rows[:, 7] > 0
    return Sequence(name, frames, boxes, absent=lost, frame_attributes={"occluded": occluded})


def _read_rows(path: pathlib.Path) -> Float[np.ndarray, "rows 9"]:
    rows: list[list[float]] = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = parse_numbers(split_fields(line.partition(b'"')[0]))
        except ValueError:
            row = []
        if len(row) != _FIELDS or not _plausible(row):
            expected = 'track xmin ymin xmax ymax frame lost occluded generated "label"'
            raise refuse(path, number, line, expected)
        if rows and (row[0] != rows[-1][0] or row[5] <= rows[-1][5]):
            raise refuse(path, number, line, "one track and a later frame than the line before")
        rows.append(row)
    if not rows:
        raise InputError(f"{path} is empty: it must hold a line a frame")
    return np.asarray(rows, np.float64)


def _plausible(row: list[float]) -> bool:
    """Whether nothing is NaN, the frame is a small whole number, and the flags are flags."""
    return (
        all(value == value for value in row)
        and row[5] in range(10**7)
        and all(flag in (0, 1) for flag in row[6:])
    )


def _frames(folder: pathlib.Path, path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: it must hold the frames of {path.name}")
    frames = list_images(folder)
    if not frames:
        raise InputError(f"{folder} holds no images: it must hold the frames of {path.name}")
    return frames
