"""The folder of an evaluation: what ran, and each sequence's results as soon as it ends."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from basics.errors import InputError
from basics.files import write_atomic
from basics.names import require_name
from experiments.runs import run_lock
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import SequenceResult

_SAME_BOX = 1e-3  # pixels, above the rounding of the files


class EvaluationFolder:
    """`run.json` with what the run is, and a file a sequence in three folders.

    `boxes/`, `scores/` and `times/` hold a line a frame, `times/` from the second frame on;
    `undone/` the number of updates that were not finite, where there were any. The boxes are
    written last: where they are, a sequence is done. All writes are atomic.

    Args:
        path: the folder.
        configuration: what must be equal for results to be of one run: tracker, weights, settings.
        resume: whether results of the same run that are there already are kept.

    Raises:
        InputError: the folder holds results, and they are of another run or `resume` is off.
    """

    def __init__(self, path: pathlib.Path, configuration: Mapping[str, Any], resume: bool) -> None:
        self._path = path
        taken = any((path / name).exists() for name in ("results.json", "boxes"))
        run_lock.lock(path, configuration, taken=taken, resume=resume)

    def save(self, result: SequenceResult) -> None:
        """Writes what was found on a sequence."""
        write_atomic(self._file("scores", result.name), format_rows(result.confidences[:, None]))
        write_atomic(self._file("times", result.name), format_rows(result.seconds[:, None], 6))
        if result.undone:
            write_atomic(self._file("undone", result.name), f"{result.undone}\n")
        write_atomic(self._file("boxes", result.name), format_rows(result.boxes))

    def load(self, sequence: Sequence) -> SequenceResult | None:
        """Reads what was found on a sequence; None if it is not done, or its files are damaged."""
        try:
            boxes = read_rows(self._file("boxes", sequence.name), columns=4)
            scores = read_rows(self._file("scores", sequence.name), columns=1)
            times = read_rows(self._file("times", sequence.name), columns=1)
            counted = self._file("undone", sequence.name)
            undone = int(read_rows(counted, columns=1).sum()) if counted.exists() else 0
        except (InputError, OSError):
            return None
        n = len(sequence)
        if [len(boxes), len(scores), len(times)] != [n, n, n - 1]:
            return None
        if not np.abs(boxes[0] - sequence.boxes[0]).max() <= _SAME_BOX:  # nor if it is no number
            return None
        return SequenceResult(
            sequence.name, boxes, sequence.boxes, times[:, 0], scores[:, 0], undone
        )

    def _file(self, kind: str, name: str) -> pathlib.Path:
        return self._path / kind / f"{require_name(name)}.txt"


def format_rows(rows: Float[np.ndarray, "rows columns"], decimals: int = 4) -> str:
    """Returns numbers as lines with commas between them."""
    return "".join(",".join(f"{value:.{decimals}f}" for value in row) + "\n" for row in rows)


def read_rows(path: pathlib.Path, columns: int) -> Float[np.ndarray, "rows columns"]:
    """Reads lines of numbers between which are commas, tabs or spaces; NaN counts as a number.

    Raises:
        InputError: a line does not hold so many numbers; names the file and the line.
        OSError: the file cannot be read.
    """
    rows = []
    for number, line in enumerate(path.read_bytes().rstrip().splitlines(), start=1):
        try:
            row = [float(field) for field in line.replace(b",", b" ").split()]
        except ValueError:
            row = []
        if len(row) != columns:
            text = line.decode(errors="replace")[:40]
            raise InputError(f"{path}, line {number}: expected {columns} numbers, found {text!r}")
        rows.append(row)
    with np.errstate(over="ignore"):
        return np.asarray(rows, np.float32).reshape(-1, columns)
