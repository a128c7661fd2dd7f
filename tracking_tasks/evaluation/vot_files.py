"""Runs of VOT's experiments as files of vot-toolkit, which analyses and packs them."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from basics.files import write_atomic
from basics.names import require_name
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import vot_anchor, vot_supervised
from tracking_tasks.evaluation.vot_anchor import AnchorRun
from tracking_tasks.evaluation.vot_overlap import image_size, regions, vot_overlap
from tracking_tasks.evaluation.vot_supervised import Code, Codes, SupervisedRun


def write_supervised(folder: pathlib.Path, sequence: str, runs: Sequence[SupervisedRun]) -> None:
    """Writes `<sequence>/<sequence>_001.txt`, ... and the seconds of each frame beside them.

    Args:
        folder: `results/<tracker>/<experiment>` of a workspace.
        sequence: its name.
        runs: in order.
    """
    require_name(sequence)
    for number, run in enumerate(runs, start=1):
        _write(folder / sequence, f"{sequence}_{number:03d}", run.boxes, run.codes, run.seconds)


def write_anchored(folder: pathlib.Path, sequence: str, runs: Sequence[AnchorRun]) -> None:
    """Writes `<sequence>/<sequence>_<anchor>.txt` of each run; otherwise as `write_supervised`."""
    require_name(sequence)
    for run in runs:
        codes = np.full(len(run.boxes), Code.TRACKED)
        codes[0] = Code.STARTED
        _write(folder / sequence, f"{sequence}_{run.anchor:08d}", run.boxes, codes, run.seconds)


def read_supervised(
    folder: pathlib.Path, sequence: sequences_lib.Sequence
) -> list[SupervisedRun] | None:
    """Reads what `write_supervised` wrote; None if runs are missing or damaged."""
    truth, size = regions(sequence), image_size(sequence)
    runs: list[SupervisedRun] = []
    while not vot_supervised.are_enough(runs):
        name = f"{sequence.name}_{len(runs) + 1:03d}"
        found = _read(folder / sequence.name, name, len(sequence))
        if found is None:
            return None
        boxes, codes, seconds = found
        overlaps = [
            vot_overlap(box, region, size) if code == Code.TRACKED else 0.0
            for box, code, region in zip(boxes, codes, truth, strict=True)
        ]
        runs.append(SupervisedRun(boxes, codes, np.array(overlaps), seconds))
    return runs


def read_anchored(folder: pathlib.Path, sequence: sequences_lib.Sequence) -> list[AnchorRun] | None:
    """Reads what `write_anchored` wrote; None if runs are missing or damaged.

    Raises:
        InputError: the sequence has no anchors.
    """
    runs = []
    for anchor, backward in vot_anchor.starts(sequence):
        length = len(vot_anchor.order(sequence, anchor, backward))
        found = _read(folder / sequence.name, f"{sequence.name}_{anchor:08d}", length)
        if found is None:
            return None
        boxes, _, seconds = found
        boxes[0] = sequence.boxes[anchor]
        runs.append(vot_anchor.scored(sequence, anchor, backward, boxes, seconds))
    return runs


def _write(
    folder: pathlib.Path,
    name: str,
    boxes: Float[np.ndarray, "frames 4"],
    codes: Codes,
    seconds: Float[np.ndarray, "frames"],
) -> None:
    lines = [
        ",".join(f"{value:.6f}" for value in box) if code == Code.TRACKED else str(int(code))
        for box, code in zip(boxes, codes, strict=True)
    ]
    write_atomic(folder / f"{name}_time.value", "".join(f"{each:.6f}\n" for each in seconds))
    write_atomic(folder / f"{name}.txt", "".join(f"{line}\n" for line in lines))


def _read(
    folder: pathlib.Path, name: str, length: int
) -> tuple[Float[np.ndarray, "frames 4"], Codes, Float[np.ndarray, "frames"]] | None:
    """Reads what `_write` wrote; None if it is damaged or not of that length."""
    try:
        seconds = np.array((folder / f"{name}_time.value").read_text().split(), np.float64)
        rows = [
            [float(field) for field in line.split(",")]
            for line in (folder / f"{name}.txt").read_text().splitlines()
        ]
    except (OSError, ValueError):
        return None
    known = all(
        len(row) == 4 or row in ([Code.SKIPPED], [Code.STARTED], [Code.FAILED]) for row in rows
    )
    if {len(rows), len(seconds)} != {length} or not known:
        return None
    boxes = np.array([row if len(row) == 4 else np.zeros(4) for row in rows])
    codes = np.array([Code.TRACKED if len(row) == 4 else row[0] for row in rows], np.int8)
    return boxes, codes, seconds
