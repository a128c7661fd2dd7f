"""Outer steps a second of every tracker's meta-training, with and without a pool of features.

What is timed is what `experiments.train` does for a step: its batch of episodes is rendered, or
drawn from the pool, and goes through the outer loss, its gradient, and the outer optimizer.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from experiments.benchmarks import trackers
from experiments.benchmarks.report import Comparison, Report, table
from experiments.benchmarks.timing import interleaved
from experiments.meta_training import outer_loop, training
from experiments.meta_training.feature_pool import pooled_batches
from experiments.meta_training.presets import TRAININGS
from tracking_tasks.data.photos import load_bank
from tracking_tasks.trackers import Tracker

_POOL = 2  # batches: what a step draws takes the same time from a larger one
_RENDERED, _POOLED = "rendered", "--pool"


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is measured.

    Attributes:
        training: constants of the outer loop; the episodes are the tracker's own.
        trackers: makes the trackers, by name.
        photo_side: of the photographs that are rendered from.
    """

    training: training.TrainingConfig
    trackers: Callable[[], dict[str, Tracker]]
    photo_side: int


PRESETS = {
    "smoke": Preset(TRAININGS["smoke"], trackers.small, 96),
    "full": Preset(training.TrainingConfig(), trackers.shipped, 320),  # as experiments.train
}


def run(preset: str, repeats: int) -> Report:
    """Times an outer step of all trackers of a preset in both ways, and says each as it is done."""
    chosen = PRESETS[preset]
    rows = []
    for tracker in chosen.trackers().values():
        rows.append(measure(tracker, chosen, repeats))
        tqdm.write(table(Report(rows[-1:], [])))
    return Report(rows, notes(chosen))


def measure(tracker: Tracker, preset: Preset, repeats: int) -> Comparison:
    """Times an outer step of one tracker in both ways, interleaved."""
    config = dataclasses.replace(preset.training, episode=tracker.episode_config)
    rendered = training.rendered_batches(load_bank(side=preset.photo_side), config)
    with tempfile.TemporaryDirectory() as folder:
        pooled = pooled_batches(rendered, tracker.backbone, config, _POOL, pathlib.Path(folder))
    calls: dict[str, Callable[[], Any]] = {
        _RENDERED: _Steps(tracker, rendered, config),
        _POOLED: _Steps(tracker, pooled, config),
    }
    times = interleaved(calls, repeats, f"meta_training, {tracker.name}")
    numbers = {f"steps/s, {way}": 1 / time.minimum for way, time in times.items()}
    ratio = times[_RENDERED].minimum / times[_POOLED].minimum
    case: dict[str, str | int] = {"tracker": tracker.name}
    return Comparison(case, times, numbers | {f"{_RENDERED} / {_POOLED}": ratio})


class _Steps:
    """A meta-training that takes its next step whenever it is called."""

    def __init__(
        self, tracker: Tracker, batches: training.Batches, config: training.TrainingConfig
    ) -> None:
        transformation, self._advance = training.steps(tracker, batches, config)
        self._state = outer_loop.beginning(tracker, transformation, config.frozen)
        self._index = 0

    def __call__(self) -> Any:
        self._state, metrics = self._advance(self._state, self._index)
        self._index += 1
        return metrics


def notes(preset: Preset) -> list[str]:
    """What the columns mean."""
    config = preset.training
    return [
        f"{config.episodes} episodes a step, frames of {config.renderer.side} pixels, each "
        "tracker's own crops and inner steps; steps/s and ratios are of minima.",
        "--pool: features of episodes that were rendered, and seen by the backbone, before.",
    ]
