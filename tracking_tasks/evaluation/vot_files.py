"""Runs of VOT's experiments as files of vot-toolkit, which analyses and packs them."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from basics.files import write_atomic
from tracking_tasks.evaluation.vot_anchor import AnchorRun
from tracking_tasks.evaluation.vot_supervised import Code, Codes, SupervisedRun


def write_supervised(folder: pathlib.Path, sequence: str, runs: Sequence[SupervisedRun]) -> None:
    """Writes `<sequence>/<sequence>_001.txt`, ... and the seconds of each frame beside them.

    Args:
        folder: `results/<tracker>/<experiment>` of a workspace.
        sequence: Its name.
        runs: In order.
    """
    for number, run in enumerate(runs, start=1):
        _write(folder / sequence, f"{sequence}_{number:03d}", run.boxes, run.codes, run.seconds)


def write_anchored(folder: pathlib.Path, sequence: str, runs: Sequence[AnchorRun]) -> None:
    """Writes `<sequence>/<sequence>_<anchor>.txt` of each run; otherwise as `write_supervised`."""
    for run in runs:
        codes = np.full(len(run.boxes), Code.TRACKED)
        codes[0] = Code.STARTED
        _write(folder / sequence, f"{sequence}_{run.anchor:08d}", run.boxes, codes, run.seconds)


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
