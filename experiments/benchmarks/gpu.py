"""What one accelerator does, in minutes: tracking side by side, meta-training, adjoints, filters.

The parts are those of other suites, at one size each. A part for which no time is left is left out,
and said to be; most of the time goes into compiling.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import tracking_tasks
from experiments.benchmarks import inner_loop, meta_gradient, meta_training, trackers
from experiments.benchmarks.meta_problems import problems
from experiments.benchmarks.online import TARGET, pan
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved
from tracking_tasks.online.lanes import Lanes
from tracking_tasks.trackers import Tracker

_SECONDS = 360.0  # after which no part is begun, so that eight minutes hold all
_TYPES = (jnp.float32, jnp.bfloat16)


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is measured.

    Attributes:
        trackers: makes those that track, by name.
        lanes: numbers of videos side by side.
        filters: the inner loops.
        sizes: of the problems whose meta-gradient is taken.
        steps: inner steps of those.
        training: of the outer steps.
    """

    trackers: Callable[[], dict[str, Tracker]]
    lanes: tuple[int, ...]
    filters: inner_loop.Preset
    sizes: meta_gradient.Sizes
    steps: int
    training: meta_training.Preset


PRESETS = {
    "smoke": Preset(
        trackers.small,
        (1, 2),
        inner_loop.PRESETS["smoke"],
        meta_gradient.PRESETS["smoke"].sizes,
        2,
        meta_training.PRESETS["smoke"],
    ),
    "full": Preset(
        trackers.shipped,
        (1, 16, 64),
        dataclasses.replace(inner_loop.PRESETS["full"], steps=(5,), product=8192),
        meta_gradient.PRESETS["full"].sizes,
        8,
        meta_training.PRESETS["full"],
    ),
}
_Part = Callable[[], list[Comparison]]


def run(preset: str, repeats: int) -> Report:
    """Measures all parts of a preset for which there is time."""
    chosen = PRESETS[preset]
    rows, left_out = within(_SECONDS, dict(_parts(chosen, repeats)))
    notes = [
        "frames/s: of all lanes together, the copy of the frames to the device included.",
        *inner_loop.notes(chosen.filters),
        *meta_gradient.notes([row for row in rows if "adjoint" in row.case]),
        *meta_training.notes(chosen.training),
    ]
    if left_out:
        notes.append(f"Left out after {_SECONDS:.0f} seconds: {', '.join(left_out)}.")
    return Report(rows, notes, {"lanes": _figure(rows)})


def within(seconds: float, parts: dict[str, _Part]) -> tuple[list[Comparison], list[str]]:
    """The rows of the parts that begin within so many seconds, and the names of the others."""
    end = time.monotonic() + seconds
    rows: list[Comparison] = []
    left_out = []
    for name, part in tqdm(parts.items(), "gpu", unit="part"):
        if time.monotonic() < end:
            rows += part()
        else:
            left_out.append(name)
    return rows, left_out


def _parts(preset: Preset, repeats: int) -> Iterator[tuple[str, _Part]]:
    """By name, each kind in a row, as it becomes a table of its own; the longest last."""
    for dtype in _TYPES:
        measure = functools.partial(inner_loop.measure, preset.filters, repeats, dtype)
        yield f"inner loop in {jnp.dtype(dtype)}", measure
    made = preset.trackers()
    for name, tracker in made.items():
        measure = functools.partial(side_by_side, tracker, preset.lanes, repeats)
        yield f"{name} side by side", measure
    for name, problem in problems(preset.sizes).items():
        steps = (preset.steps,)
        yield name, functools.partial(meta_gradient.scaling, name, problem, steps, repeats)
    for name, tracker in made.items():
        yield f"outer steps of {name}", functools.partial(_outer_steps, tracker, preset, repeats)


def side_by_side(tracker: Tracker, counts: tuple[int, ...], repeats: int) -> list[Comparison]:
    """Times a frame of each of several videos, by their number."""
    first, second = (np.asarray(frame.pixels) for frame in pan(2))
    online = tracking_tasks.OnlineTracker(tracker, tracker.default_rule)
    calls = {}
    for count in counts:
        lanes = Lanes(online, count)
        for lane in range(count):
            lanes.init(lane, first, np.array(TARGET))
        calls[count] = functools.partial(lanes.update, dict.fromkeys(range(count), second))
    measured = interleaved(calls, repeats, f"{tracker.name} side by side")
    return [
        Comparison(
            {"tracker": tracker.name, "lanes": count},
            {"a frame of all": measured[count]},
            {"frames/s": count / measured[count].minimum},
        )
        for count in counts
    ]


def _outer_steps(tracker: Tracker, preset: Preset, repeats: int) -> list[Comparison]:
    return [meta_training.measure(tracker, preset.training, repeats)]


def _figure(rows: Sequence[Comparison]) -> Figure:
    """Frames a second against the number of videos side by side."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    tracked = [row for row in rows if "lanes" in row.case]
    for name in dict.fromkeys(str(row.case["tracker"]) for row in tracked):
        line = [row for row in tracked if row.case["tracker"] == name]
        lanes = [row.case["lanes"] for row in line]
        axes.plot(lanes, [row.numbers["frames/s"] for row in line], "o-", label=name)
    axes.set(xlabel="videos side by side", ylabel="frames/s in total", xscale="log", yscale="log")
    figure.legend(loc="outside right upper")
    return figure
