"""The folder of an evaluation: what ran, and each sequence's results as soon as it ends."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from basics.errors import InputError
from basics.files import write_atomic
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import SequenceResult

_SAME_BOX = 1e-3  # pixels, above the rounding of the files


class EvaluationFolder:
    """`run.json` with the identity of the run, and a file a sequence in three folders.

    `boxes/`, `scores/` and `times/` hold a line a frame, `times/` from the second frame on. The
    boxes are written last: where they are, a sequence is done. All writes are atomic.

    Args:
        path: The folder; made when the first sequence ends.
        identity: What must be equal for results to be of one run: tracker, weights, settings.
        resume: Whether results of the same run that are there already are kept.

    Raises:
        InputError: The folder holds results, and they are of another run or `resume` is off.
    """

    def __init__(self, path: pathlib.Path, identity: Mapping[str, Any], resume: bool) -> None:
        self._path = path
        self._identity = dict(identity)
        self._run = path / "run.json"
        taken = [name for name in ("run.json", "results.json", "boxes") if (path / name).exists()]
        if taken and not resume:
            raise InputError(
                f"{path} holds results already: pass --resume to go on with them, "
                "or give another folder"
            )
        if taken:
            self._require_same_run()

    def save(self, result: SequenceResult) -> None:
        """Writes what was found on a sequence."""
        if not self._run.exists():
            write_atomic(self._run, json.dumps(self._identity, indent=2) + "\n")
        write_atomic(self._file("scores", result.name), format_rows(result.confidences[:, None]))
        write_atomic(self._file("times", result.name), format_rows(result.seconds[:, None], 6))
        write_atomic(self._file("boxes", result.name), format_rows(result.boxes))

    def load(self, sequence: Sequence) -> SequenceResult | None:
        """Reads what was found on a sequence; None if it is not done, or its files are damaged."""
        try:
            boxes = read_rows(self._file("boxes", sequence.name), columns=4)
            scores = read_rows(self._file("scores", sequence.name), columns=1)
            times = read_rows(self._file("times", sequence.name), columns=1)
        except (InputError, OSError):
            return None
        n = len(sequence)
        if [len(boxes), len(scores), len(times)] != [n, n, n - 1]:
            return None
        if np.abs(boxes[0] - sequence.boxes[0]).max() > _SAME_BOX:
            return None
        return SequenceResult(sequence.name, boxes, sequence.boxes, times[:, 0], scores[:, 0])

    def _file(self, kind: str, name: str) -> pathlib.Path:
        return self._path / kind / f"{name}.txt"

    def _require_same_run(self) -> None:
        try:
            earlier = dict(json.loads(self._run.read_text()))
        except (OSError, ValueError, TypeError):
            raise InputError(
                f"{self._run} does not say what made the results beside it: give another folder"
            ) from None
        for name in self._identity.keys() | earlier.keys():
            before, now = earlier.get(name), self._identity.get(name)
            if before != now:
                raise InputError(
                    f"{self._path} holds results of {name} {before}, not {now}: "
                    "give another folder, or the same settings"
                )


def format_rows(rows: Float[np.ndarray, "rows columns"], decimals: int = 4) -> str:
    """Returns numbers as lines with commas between them."""
    return "".join(",".join(f"{value:.{decimals}f}" for value in row) + "\n" for row in rows)


def read_rows(path: pathlib.Path, columns: int) -> Float[np.ndarray, "rows columns"]:
    """Reads lines of numbers between which are commas, tabs or spaces; NaN counts as a number.

    Raises:
        InputError: A line does not hold so many numbers; names the file and the line.
        OSError: The file cannot be read.
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
