"""Results as the benchmarks' toolkits and servers take them: folders of text, and archives."""

import dataclasses
import io
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from basics.errors import InputError
from basics.files import write_atomic
from basics.names import require_name
from tracking_tasks.evaluation.reports import Boxes

Files = dict[str, str]


@runtime_checkable
class TimedResult(Protocol):
    """What a tracker did on one sequence, and how long its updates took."""

    @property
    def name(self) -> str: ...

    @property
    def boxes(self) -> Boxes: ...

    @property
    def seconds(self) -> Float[np.ndarray, "updates"]: ...


def write_got10k(folder: pathlib.Path, tracker: str, results: Sequence[TimedResult]) -> None:
    """Writes results where the got10k toolkit looks for them, to score or plot them.

    That is `GOT-10k/<tracker>/<sequence>/<sequence>_001.txt`, boxes with three decimals, and
    `<sequence>_time.txt`. One run is written: the toolkit asks no more of a deterministic tracker.

    Args:
        folder: the toolkit's `result_dir`.
        tracker: its name.
        results: in the coordinates of the data set.

    Raises:
        InputError: a box is not finite, or a name cannot be that of a file.
    """
    for result in results:
        for name, text in got10k_files(result).items():
            write_atomic(folder / "GOT-10k" / require_name(tracker) / name, text)


def got10k_files(result: TimedResult) -> Files:
    """Returns the text of GOT-10k's files of one sequence, by their paths.

    The first frame has the time 0, which the toolkit leaves out.

    Raises:
        InputError: a box is not finite, or a name cannot be that of a file.
    """
    name, times = require_name(result.name), np.append(0, result.seconds)[:, None]
    return {
        f"{name}/{name}_time.txt": _lines(name, times, 8),
        f"{name}/{name}_001.txt": _lines(name, result.boxes, 3),
    }


@dataclasses.dataclass(frozen=True)
class TextForm:
    """Boxes as a toolkit reads them, a file `<sequence>.txt` each.

    Attributes:
        count_from: what the left upper pixel of a frame is called, 0 or 1.
        separator: between numbers.
        said: which it is, for the file beside them.
    """

    count_from: int
    separator: str
    said: str


TEXT_FORMS: Mapping[str, TextForm] = {
    "zero": TextForm(0, ",", "x,y,width,height in pixels, x and y counted from 0"),
    "one": TextForm(1, ",", "x,y,width,height in pixels, x and y counted from 1"),
    "otb": TextForm(1, "\t", "OTB: x, y, width, height in pixels, tabs, x and y counted from 1"),
    "lasot": TextForm(1, ",", "LaSOT: x,y,width,height in pixels, x and y counted from 1"),
}


def write_text_form(folder: pathlib.Path, form: str, results: Sequence[TimedResult]) -> None:
    """Writes the boxes of each sequence as `<folder>/<sequence>.txt`, and what they are.

    Args:
        folder: to write to; `README.txt` in it says which form it is.
        form: a key of `TEXT_FORMS`.
        results: with boxes counted from 0.

    Raises:
        InputError: a box is not finite, or a name cannot be that of a file.
    """
    chosen = TEXT_FORMS[form]
    shift = np.array([chosen.count_from, chosen.count_from, 0, 0])
    for result in results:
        text = _lines(result.name, result.boxes + shift, 4).replace(",", chosen.separator)
        write_atomic(folder / f"{require_name(result.name)}.txt", text)
    write_atomic(folder / "README.txt", chosen.said + "\n")


def trackingnet_files(result: TimedResult) -> Files:
    """Returns the text of TrackingNet's file of one sequence, by its path.

    Raises:
        InputError: a box is not finite, or a name cannot be that of a file.
    """
    return {f"{require_name(result.name)}.txt": _lines(result.name, result.boxes, 4)}


# What the servers of the benchmarks with a withheld truth take, by the name of the protocol.
SUBMISSIONS: Mapping[str, Callable[[TimedResult], Files]] = {
    "got10k": got10k_files,
    "trackingnet": trackingnet_files,
}


def write_submission(path: pathlib.Path, protocol: str, results: Sequence[TimedResult]) -> None:
    """Writes the archive to submit to a benchmark's server; it appears when it is complete.

    Args:
        path: of the .zip file.
        protocol: a key of `SUBMISSIONS`.
        results: of all test sequences, in the coordinates of the data set.

    Raises:
        InputError: the protocol has no server, or a box is not finite.
    """
    if protocol not in SUBMISSIONS:
        known = ", ".join(SUBMISSIONS)
        raise InputError(f"{protocol} takes no submissions: the protocols that do are {known}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for result in results:
            for name, text in SUBMISSIONS[protocol](result).items():
                archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    write_atomic(path, buffer.getvalue())


def _lines(name: str, rows: ArrayLike, decimals: int) -> str:
    rows = np.asarray(rows)
    if not np.isfinite(rows).all():
        raise InputError(f"the results of {name} are not finite: the toolkit would not read them")
    return "".join(",".join(f"{value:.{decimals}f}" for value in row) + "\n" for row in rows)
