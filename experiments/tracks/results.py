"""Results to go on with: tables that are whole after every frame, and the forms of other tools."""

import csv
import io
import json
import pathlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any
from xml.etree import ElementTree

import numpy as np

from basics.files import write_atomic
from experiments.analysis.evaluation_folder import format_rows
from experiments.tracks.following import Row

COLUMNS = ("frame", "time", "target", "x", "y", "width", "height", "score", "present")
_END = b"\n]}\n"


class Tables:
    """A CSV and a JSON file that grow with each frame and can be read at any time.

    Args:
        csv_path: columns as `COLUMNS`; the fields of a box that is not finite are empty.
        json_path: `{..., "rows": [...]}` with the same fields and `box`, null where not finite.
        **heading: what the JSON says of the run.
    """

    def __init__(self, csv_path: pathlib.Path, json_path: pathlib.Path, **heading: Any) -> None:
        csv_path.parent.mkdir(parents=True, exist_ok=True)
        self._csv = csv_path.open("w", newline="", encoding="utf-8")
        self._json = json_path.open("wb")
        self._empty = True
        csv.writer(self._csv).writerow(COLUMNS)
        self._csv.flush()
        self._json.write(json.dumps(heading, indent=1)[:-2].encode() + b',\n "rows": [' + _END)
        self._json.flush()

    def __enter__(self) -> "Tables":
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the files."""
        self._csv.close()
        self._json.close()

    def add(self, rows: Sequence[Row]) -> None:
        """Adds what was found in a frame."""
        text = io.StringIO()
        csv.writer(text).writerows(_fields(row) for row in rows)
        self._csv.write(text.getvalue())
        self._csv.flush()
        lines = b"".join(b",\n  " + json.dumps(_entry(row)).encode() for row in rows)
        if self._empty and rows:
            lines, self._empty = lines.removeprefix(b","), False
        self._json.seek(-len(_END), io.SEEK_END)
        self._json.write(lines + _END)  # one write: a reader meets the old end or the new one
        self._json.flush()


def write_boxes(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Writes x,y,w,h, a line a frame, of one target."""
    write_atomic(path, format_rows(np.stack([row.box for row in rows])))


def write_mot(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Writes MOTChallenge's form: frame, id, left, top, width, height, confidence, -1, -1, -1.

    Frames, targets and pixels count from 1; rows of absent targets are left out, as there.
    """
    numbers = _numbers(rows)
    write_atomic(
        path,
        "".join(
            f"{row.frame + 1},{numbers[row.target]},{x + 1:.2f},{y + 1:.2f},{w:.2f},{h:.2f},"
            f"{row.score:.4f},-1,-1,-1\n"
            for row in rows
            if row.present
            for x, y, w, h in [row.box]
        ),
    )


def write_cvat(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Writes "CVAT for video 1.1": a track a target; where it is absent the box is `outside`."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for target, number in _numbers(rows).items():
        track = ElementTree.SubElement(
            root, "track", id=str(number - 1), label=target, source="automatic"
        )
        for row in rows:
            if row.target != target or not np.isfinite(row.box).all():
                continue
            x, y, width, height = map(float, row.box)
            corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
            ElementTree.SubElement(
                track,
                "box",
                {"frame": str(row.frame), "outside": str(int(not row.present)), "occluded": "0"}
                | {"keyframe": "1", "z_order": "0"}
                | {name: f"{value:.2f}" for name, value in corners.items()},
            )
    ElementTree.indent(root)
    write_atomic(path, ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n")


FORMS = {"mot": write_mot, "cvat": write_cvat}


def _numbers(rows: Sequence[Row]) -> dict[str, int]:
    """The targets, numbered from 1 in the order in which they come."""
    return {name: n for n, name in enumerate(dict.fromkeys(row.target for row in rows), start=1)}


def _fields(row: Row) -> list[Any]:
    box = [f"{value:.4f}" if np.isfinite(value) else "" for value in row.box]
    score = f"{row.score:.4f}" if np.isfinite(row.score) else ""
    return [row.frame, f"{row.time:.6f}", row.target, *box, score, str(row.present).lower()]


def _entry(row: Row) -> dict[str, Any]:
    plain = lambda value: round(float(value), 4) if np.isfinite(value) else None
    return {
        "frame": row.frame,
        "time": round(row.time, 6),
        "target": row.target,
        "box": [plain(value) for value in row.box],
        "score": plain(row.score),
        "present": row.present,
    }
