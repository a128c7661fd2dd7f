"""What a tracked frame takes: every shipped tracker, by its parts, beside what the backbone must.

The video is a camera's pan over a photograph. A frame's time is the mean over its frames, since
trackers search over scales in some and learn in some; crop, backbone and the rest (the search for
the target in the response, its box, what is learned) are those of the last one.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data
from matplotlib.figure import Figure

from experiments.benchmarks import trackers
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import Measurement, interleaved, product
from tracking_tasks.episode import Frame
from tracking_tasks.trackers.base import Tracker

_PARTS = ("crop", "backbone", "rest")
_WIDTH, _HEIGHT = 480, 384  # pixels
TARGET = (200.0, 150.0, 60.0, 60.0)  # in the first frame
_PRODUCT = 1024  # side of the matrices whose product shows what the machine can do at most


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is tracked.

    Attributes:
        frames: of the video.
        trackers: makes the trackers, by name.
    """

    frames: int
    trackers: Callable[[], dict[str, Tracker]]


PRESETS = {"smoke": Preset(2, trackers.small), "full": Preset(40, trackers.shipped)}


def run(preset: str, repeats: int) -> Report:
    """Times all trackers of a preset, everything interleaved."""
    chosen = PRESETS[preset]
    frames = pan(chosen.frames)
    calls: dict[tuple[str, str], Callable[[], Any]] = {("", "product"): product(_PRODUCT)}
    operations = {}
    for name, tracker in chosen.trackers().items():
        parts, operations[name] = _parts(tracker, frames)
        calls |= {(name, part): call for part, call in parts.items()}
    measured = interleaved(calls, repeats, "online")
    peak = 2 * _PRODUCT**3 / measured["", "product"].minimum
    rows = [
        _row(name, measured, len(frames) - 1, count / peak) for name, count in operations.items()
    ]
    return Report(rows, _notes(peak), {"times": _bars(rows)})


def pan(frames: int) -> list[Frame]:
    """A window that moves over a photograph, two pixels a frame."""
    photograph = skimage.data.astronaut()
    extent = jnp.array([_WIDTH, _HEIGHT])
    windows = [photograph[i : i + _HEIGHT, :_WIDTH] for i in (2 * np.arange(frames) % 100)]
    return [Frame(jnp.asarray(window), extent) for window in windows]


def _parts(tracker: Tracker, frames: list[Frame]) -> tuple[dict[str, Callable[[], Any]], float]:
    """The calls to time, and the backbone's floating point operations in one of them."""
    kind = type(tracker)
    step, search, follow = jax.jit(kind.step), jax.jit(kind.search), jax.jit(kind.follow)
    start = jax.jit(kind.init)(tracker, frames[0], jnp.array(TARGET))

    def through() -> Any:
        state = start
        for frame in frames[1:]:
            state, prediction = step(tracker, state, frame)
        return state, prediction

    state, _ = through()
    images = search(tracker, state, frames[-1])
    backbone = jax.jit(lambda images: tracker.backbone(images)).lower(images).compile()
    levels = backbone(images)
    analysis = backbone.cost_analysis()
    assert analysis is not None  # every backend of ours has one
    return {
        "frame": through,
        "crop": functools.partial(search, tracker, state, frames[-1]),
        "backbone": functools.partial(backbone, images),
        "rest": functools.partial(follow, tracker, state, frames[-1], levels),
    }, analysis["flops"]


def _row(
    name: str, measured: dict[tuple[str, str], Measurement], frames: int, floor: float
) -> Comparison:
    whole = measured[name, "frame"]
    frame = Measurement(None, whole.minimum / frames, whole.median / frames)
    times = {"frame": frame} | {part: measured[name, part] for part in _PARTS}
    numbers = {
        "frames/s": 1 / frame.minimum,
        "frame / backbone": frame.minimum / measured[name, "backbone"].minimum,
        "backbone / its floor": measured[name, "backbone"].minimum / floor,
    }
    return Comparison({"tracker": name}, times, numbers)


def _bars(rows: list[Comparison]) -> Figure:
    """The mean frame above its parts, stacked."""
    figure = Figure(figsize=(8, 1.5 + 0.7 * len(rows)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(rows))
    left = np.zeros(len(rows))
    for part, color in zip(_PARTS, ("#0072B2", "#E69F00", "#009E73"), strict=True):
        width = np.array([1e3 * row.times[part].minimum for row in rows])
        axes.barh(at + 0.2, width, 0.35, left, color=color, label=f"{part}, one frame")
        left += width
    means = [1e3 * row.times["frame"].minimum for row in rows]
    bars = axes.barh(at - 0.2, means, 0.35, color="0.35", label="mean over the frames")
    axes.bar_label(bars, [f"{mean:.1f}" for mean in means], padding=3)
    axes.set(xlabel="minimum time (ms)")
    axes.set_yticks(at, [str(row.case["tracker"]) for row in rows])
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def _notes(peak: float) -> list[str]:
    return [
        f"Frames of {_WIDTH}x{_HEIGHT}. The floor of the backbone is what its operations take at "
        f"the {peak / 1e9:.0f} GFLOP/s of a matrix product in this run.",
        "frame: the mean over the video's frames; crop, backbone and rest: of the last of them, "
        "with all the scales that a frame of a search over scales shows.",
    ]
