"""What a tracked frame takes: every shipped tracker, by its parts, beside what the backbone must.

The video is a camera's pan over a photograph. Trackers learn in some frames, and some of them
search over scales in some: a plain frame is the median one. Its parts are cutting the crops, the
backbone, and the rest: the head, the search for the target in the response, its box, the memory.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
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
from tracking_tasks.online.programs import Programs
from tracking_tasks.trackers.base import Tracker
from tracking_tasks.trackers.scale_search import ScaleSearch

_PARTS = ("crop", "backbone", "rest", "learning, scales")
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
    videos, operations = {}, {}
    for name, tracker in chosen.trackers().items():
        videos[name] = Video(tracker, frames)
        crop, backbone, operations[name] = _parts(tracker, videos[name], frames[-1])
        calls |= {(name, "frame"): videos[name], (name, "crop"): crop, (name, "backbone"): backbone}
    measured = interleaved(calls, repeats, "online")
    peak = 2 * _PRODUCT**3 / measured["", "product"].minimum
    rows = [_row(name, videos[name], measured, count / peak) for name, count in operations.items()]
    return Report(rows, _notes(peak), {"times": _bars(rows)})


class Video:
    """A tracker that follows its target through the frames, as `OnlineTracker` does.

    Attributes:
        programs: of the tracker.
        seconds: of each frame but the first, a row for each call but the first, which compiles.
    """

    def __init__(self, tracker: Tracker, frames: Sequence[Frame]) -> None:
        self.programs = Programs(tracker)
        self._frames = frames
        self.seconds: list[list[float]] | None = None

    def start(self) -> Any:
        """The leaves of the state after the first frame."""
        return self.programs.start(np.asarray(self._frames[0].pixels), np.array(TARGET))

    def __call__(self) -> Any:
        """Follows the target; returns the last state and prediction."""
        state, seconds = jax.block_until_ready(self.start()), []
        for frame in self._frames[1:]:
            start = time.perf_counter()
            state, prediction = jax.block_until_ready(self.programs.advance(state, frame))
            seconds.append(time.perf_counter() - start)
        self.seconds = [] if self.seconds is None else [*self.seconds, seconds]
        return state, prediction

    def times(self) -> tuple[Measurement, Measurement]:
        """Of the mean frame and of the median one: least and median over calls."""
        assert self.seconds
        calls = np.array(self.seconds)
        least, usual = calls.min(0), np.median(calls, 0)
        mean = Measurement(None, float(least.mean()), float(usual.mean()))
        return mean, Measurement(None, float(np.median(least)), float(np.median(usual)))


def pan(frames: int) -> list[Frame]:
    """A window that moves over a photograph, two pixels a frame."""
    photograph = skimage.data.astronaut()
    extent = jnp.array([_WIDTH, _HEIGHT])
    windows = [photograph[i : i + _HEIGHT, :_WIDTH] for i in (2 * np.arange(frames) % 100)]
    return [Frame(jnp.asarray(window), extent) for window in windows]


def _parts(
    tracker: Tracker, video: Video, frame: Frame
) -> tuple[Callable[[], Any], Callable[[], Any], float]:
    """What cuts and what sees the crops of a plain frame, and the latter's operations."""
    state = video.programs.tree(video.start())

    @jax.jit
    def crop(tracker: Tracker) -> jax.Array:
        if isinstance(tracker, ScaleSearch) and tracker.scale_interval > 1:
            return tracker.search_regions(
                frame, state.center, tracker.search_side(state.size)[None]
            )
        return tracker.search(state, frame)

    images = crop(tracker)
    backbone = jax.jit(lambda images: tracker.backbone(images)).lower(images).compile()
    analysis = backbone.cost_analysis()
    assert analysis is not None  # every backend of ours has one
    return (
        functools.partial(crop, tracker),
        functools.partial(backbone, images),
        analysis["flops"],
    )


def _row(
    name: str, video: Video, measured: dict[tuple[str, str], Measurement], floor: float
) -> Comparison:
    mean, plain = video.times()
    crop, backbone = measured[name, "crop"], measured[name, "backbone"]
    less = lambda whole, *parts: Measurement(
        None,
        whole.minimum - sum(part.minimum for part in parts),
        whole.median - sum(part.median for part in parts),
    )
    parts = (crop, backbone, less(plain, crop, backbone), less(mean, plain))
    times = {"frame": mean, "plain frame": plain} | dict(zip(_PARTS, parts, strict=True))
    numbers = {
        "frames/s": 1 / mean.minimum,
        "plain frame / backbone": plain.minimum / backbone.minimum,
        "backbone / its floor": backbone.minimum / floor,
    }
    return Comparison({"tracker": name}, times, numbers)


def _bars(rows: list[Comparison]) -> Figure:
    """The parts of the mean frame, stacked."""
    figure = Figure(figsize=(8, 1.5 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(rows))
    left = np.zeros(len(rows))
    colors = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
    for part, color in zip(_PARTS, colors, strict=True):
        width = np.array([1e3 * row.times[part].minimum for row in rows])
        bars = axes.barh(at, width, 0.6, left, color=color, label=part)
        left += width
    axes.bar_label(bars, [f"{mean:.1f}" for mean in left], padding=3)
    axes.margins(x=0.1)  # for the labels
    axes.set(xlabel="minimum time (ms)")
    axes.set_yticks(at, [str(row.case["tracker"]) for row in rows])
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def _notes(peak: float) -> list[str]:
    return [
        f"Frames of {_WIDTH}x{_HEIGHT}. The floor of the backbone is what its operations take at "
        f"the {peak / 1e9:.0f} GFLOP/s of a matrix product in this run.",
        "frame: the mean over the video's frames; plain frame: the median of them, whose parts are "
        "crop, backbone and rest; learning, scales: what frames that learn, or search over scales "
        "where not all do, add to the mean. The rest is what is left of the plain frame.",
    ]
