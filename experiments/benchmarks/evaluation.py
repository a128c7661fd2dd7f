"""Whole benchmarks: DiMP through several videos, one by one and side by side.

The videos are a camera's pan over photographs, as JPEG files of several sizes within one bucket, so
that reading them and starting the tracker count, as they do in a real evaluation.
"""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Sequence

import jax
import numpy as np
import skimage.data
from PIL import Image

import tracking_tasks
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import engine
from tracking_tasks.trackers.dimp.tracker import DiMP, DiMPConfig

_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
_SIZES = ((200, 250), (240, 230), (180, 256), (256, 200))  # height and width, one bucket
_TARGET = 40  # pixels, its sides


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is tracked.

    Attributes:
        videos: how many, all side by side.
        frames: of each.
        tracker: makes the tracker.
    """

    videos: int
    frames: int
    tracker: Callable[[], tracking_tasks.OnlineTracker]


def _small() -> tracking_tasks.OnlineTracker:
    config = DiMPConfig(crop_size=96, memory_size=18, init_steps=2, box_estimation="scale_search")
    return tracking_tasks.OnlineTracker(DiMP.create(config=config), DiMP.default_rule)


PRESETS = {
    "smoke": Preset(videos=2, frames=3, tracker=_small),
    "full": Preset(videos=8, frames=20, tracker=lambda: tracking_tasks.load("dimp")),
}


def run(preset: str, repeats: int) -> Report:
    """Times all videos of a preset in every way, and compares the boxes."""
    chosen = PRESETS[preset]
    tracker, count = chosen.tracker(), chosen.videos
    with tempfile.TemporaryDirectory() as folder:
        sequences = pans(pathlib.Path(folder), count, chosen.frames)
        ways = {
            "one by one": lambda: engine.one_by_one(tracker, sequences, lambda: None),
            "threads": lambda: engine.in_threads(tracker, sequences, count, lambda: None),
            "vmap": lambda: engine.vmapped(tracker, sequences, count, lambda: None),
        }
        calls = {way: _boxes(tracks) for way, tracks in ways.items()}
        measured = interleaved(calls, repeats, "evaluation")
    alone = measured["one by one"]
    numbers = {"frames/s, one by one": count * chosen.frames / alone.minimum}
    for way in ("threads", "vmap"):
        numbers[f"one by one / {way}"] = alone.minimum / measured[way].minimum
        numbers[f"difference of {way}, pixels"] = float(
            np.abs(measured[way].output - alone.output).max()
        )
    comparison = Comparison({"videos": count, "frames": chosen.frames}, measured, numbers)
    return Report([comparison], _notes())


def pans(folder: pathlib.Path, count: int, frames: int) -> list[sequences_lib.Sequence]:
    """Writes videos in which a window moves over a photograph and a spot of it is the target."""
    return [_pan(folder / f"{index}", index, frames) for index in range(count)]


def _pan(folder: pathlib.Path, index: int, frames: int) -> sequences_lib.Sequence:
    photograph = getattr(skimage.data, _PHOTOGRAPHS[index % len(_PHOTOGRAPHS)])()
    height, width = _SIZES[index % len(_SIZES)]
    folder.mkdir()
    paths, boxes = [], []
    for number in range(frames):
        left, top = 10 + 2 * number % 80, 10 + number % 30
        paths.append(folder / f"{number:04d}.jpg")
        Image.fromarray(photograph[top : top + height, left : left + width]).save(paths[-1])
        boxes.append([150 - left, 120 - top, _TARGET, _TARGET])
    return sequences_lib.Sequence(folder.name, tuple(paths), np.array(boxes, np.float32))


def _boxes(tracks: Callable[[], engine.Tracks]) -> Callable[[], np.ndarray]:
    def boxes() -> np.ndarray:
        with contextlib.closing(tracks()) as found:
            return np.stack([track.boxes for _, track in sorted(found, key=lambda each: each[0])])

    return boxes


def _notes() -> Sequence[str]:
    way = "threads" if jax.default_backend() == "cpu" else "vmap"
    return [
        "Ratios are of minima. Reading the files and starting on the first frame count.",
        f"On this backend experiments.evaluate --parallel_videos takes {way}.",
    ]
