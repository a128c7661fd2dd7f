"""Tables of numbers in text files, as the annotations of data sets come.

Commas, semicolons, tabs and spaces all separate; one at the end of a line counts for nothing. What
is not a number in plain notation is refused with its file and line; nothing is guessed.
"""

import codecs
import pathlib
import re

import numpy as np
from jaxtyping import Float, Int

from basics.errors import InputError
from basics.files import require_regular

_SEPARATOR = re.compile(rb"\s*[,;]\s*|\s+")
_LAST = re.compile(rb"\s*[,;]?\s*$")
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST = 1e7  # pixels; no image is so large
_SHOWN = 40  # characters of a damaged line that a message repeats


def read_lines(path: pathlib.Path) -> list[bytes]:
    """Reads the lines of a text file; blank lines at its end do not count.

    A byte-order mark says how the text is encoded, as editors of Windows write it.

    Raises:
        InputError: the file cannot be read, or is a pipe.
    """
    require_regular(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: restore it from the data set") from None
    except OSError as error:
        reason = error.strerror
        raise InputError(f"{path} cannot be read ({reason}): make it a readable file") from error
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            data = data.removeprefix(mark).decode(encoding, "replace").encode()
    return data.rstrip().splitlines()


def split_fields(line: bytes) -> list[bytes]:
    """Splits a line at separators; one too many, unless at the end, leaves an empty field."""
    return _SEPARATOR.split(_LAST.sub(b"", line.strip()))


def parse_numbers(fields: list[bytes]) -> list[float]:
    """Returns the fields as numbers up to 1e7 in size, or NaN where the field says `nan`.

    Raises:
        ValueError: a field is anything else.
    """
    numbers = []
    for field in fields:
        if _NUMBER.fullmatch(field):
            number = float(field)
            if abs(number) > _LARGEST:
                raise ValueError(f"{field!r} is too large")
            numbers.append(number)
        elif field.lower() == b"nan":
            numbers.append(float("nan"))
        else:
            raise ValueError(f"{field!r} is no number")
    return numbers


def refuse(path: pathlib.Path, number: int, line: bytes, expected: str) -> InputError:
    """Returns the error for a damaged line: its file, its number from 1, and what belongs there."""
    text = line.decode(errors="replace")[:_SHOWN]
    return InputError(f"{path}, line {number}: expected {expected}, found {text!r}")


def read_boxes(path: pathlib.Path, *, nan_is_absent: bool = False) -> Float[np.ndarray, "rows 4"]:
    """Reads a text file of boxes, one `x y width height` a line, as it stands.

    Args:
        path: blank lines may only end the file.
        nan_is_absent: whether a line of four NaN says that there is no box; it becomes a row of
            zeros.

    Raises:
        InputError: a line does not hold four finite numbers; names the file and the line.
    """
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            row = parse_numbers(split_fields(line))
        except ValueError:
            row = []
        missing = [value != value for value in row]
        if nan_is_absent and len(row) == 4 and all(missing):
            row = [0.0] * 4
        elif len(row) != 4 or any(missing):
            raise refuse(path, number, line, "four finite numbers x,y,width,height")
        rows.append(row)
    return np.asarray(rows, np.float32).reshape(-1, 4)


def read_labels(
    path: pathlib.Path, largest: int = 1, *, lines: bool = True
) -> Int[np.ndarray, " labels"]:
    """Reads integers from 0 to `largest`.

    Args:
        path: the file.
        largest: 1 for flags.
        lines: one a line; otherwise also several a line, as LaSOT has them.

    Raises:
        InputError: something else stands there; names the file and the line.
    """
    labels: list[int] = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = split_fields(line)
        valid = all(field.isdigit() and len(field) < 9 for field in fields)
        found = [int(field) for field in fields] if valid else []
        if not found or max(found) > largest or (lines and len(found) != 1):
            expected = "an integer" if lines else "integers separated by commas"
            raise refuse(path, number, line, f"{expected} from 0 to {largest}")
        labels += found
    return np.asarray(labels, int)
