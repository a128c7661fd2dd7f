"""Where targets are given: the boxes that a user draws, in the first frame and later."""

import csv
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from basics.errors import InputError
from tracking_tasks.boxes import validate_box
from tracking_tasks.data.tables import read_boxes, read_lines

_COLUMNS = ("x", "y", "width", "height")


class Start(NamedTuple):
    """A box given for a target in a frame: there the tracker starts, or is put right.

    Attributes:
        frame: number of the frame, from 0.
        target: its name.
        box: x, y, width, height in pixels, from 0.
    """

    frame: int
    target: str
    box: tuple[float, ...]


def from_flags(boxes: Sequence[str], corrections: Sequence[str], frame: int) -> list[Start]:
    """The targets of `--box` and `--correct`.

    Args:
        boxes: `x,y,w,h` of each target in the frame in which tracking starts; they are called "1",
            "2" and so on.
        corrections: `FRAME:x,y,w,h`, or `FRAME:TARGET:x,y,w,h` of another target than the first.
        frame: in which tracking starts.

    Raises:
        InputError: one is written otherwise.
    """
    starts = [Start(frame, str(n), _box(text)) for n, text in enumerate(boxes, start=1)]
    for text in corrections:
        number, *target = text.split(":")[:-1] or [""]
        if not number.isdecimal() or len(target) > 1:
            raise InputError(f"--correct={text} must be FRAME:x,y,w,h or FRAME:TARGET:x,y,w,h")
        box = _box(text.rpartition(":")[2])
        starts.append(Start(int(number), target[0] if target else "1", box))
    return starts


def from_file(path: pathlib.Path, frame: int) -> list[Start]:
    """The targets of a file.

    It has a line x,y,width,height a target; or a header that names the columns target, x, y, width,
    height and perhaps frame, in any order and among others. Several lines of one target put the
    tracker right in later frames.

    Args:
        path: the file.
        frame: in which targets start whose line says none.

    Raises:
        InputError: a line is damaged; names the file and the line.
    """
    lines = [line.decode(errors="replace") for line in read_lines(path)]
    if not lines or not any(letter.isalpha() for letter in lines[0].lower().replace("nan", "")):
        rows = read_boxes(path).tolist()
        starts = [Start(frame, str(n), tuple(row)) for n, row in enumerate(rows, start=1)]
    else:
        table = csv.DictReader(lines, skipinitialspace=True)
        if missing := {"target", *_COLUMNS} - {*(table.fieldnames or ())}:
            raise InputError(
                f"{path} has no column {sorted(missing)[0]}: name it in its first line"
            )
        starts = [_start(path, row, table.line_num, frame) for row in table]
    if not starts:
        raise InputError(f"{path} holds no box: give a line x,y,width,height a target")
    return starts


def by_frame(starts: Sequence[Start], shape: tuple[int, ...]) -> dict[int, dict[str, np.ndarray]]:
    """The boxes by frame and target.

    Raises:
        InputError: a box cannot start a tracker in frames of that shape.
    """
    found: dict[int, dict[str, np.ndarray]] = {}
    for start in starts:
        found.setdefault(start.frame, {})[start.target] = validate_box(list(start.box), shape)
    return found


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise InputError(f"box {text!r} must be four numbers: x, y, width, height in pixels")
    return numbers


def _start(path: pathlib.Path, row: Mapping[str, str | None], line: int, frame: int) -> Start:
    try:
        box = tuple(float(row[name] or "") for name in _COLUMNS)
        return Start(int(row.get("frame") or frame), str(row["target"]), box)
    except ValueError:
        raise InputError(
            f"{path}, line {line}: expected a frame, a target and the numbers of a box"
        ) from None
