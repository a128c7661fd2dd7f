"""MetaRTT: what a frame takes with all channels, and with half of them pruned away."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from experiments.benchmarks.noise import started_on_noise
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved
from tracking_tasks.episode import Frame
from tracking_tasks.trackers.meta_rtt.config import MetaRTTConfig
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

_WHOLE, _HALF = "all channels", "half of them"

_TINY = MetaRTTConfig(
    crop_size=96, channels=4, hidden=8, positives=4, negatives=8, candidates=16,
    regression_samples=8, long_memory=3, short_memory=2, update_interval=2,
)  # fmt: skip
PRESETS = {
    "smoke": (_TINY,),
    "full": (MetaRTTConfig(), MetaRTTConfig(channels=512, hidden=512)),  # the latter: the paper's
}


def run(preset: str, repeats: int) -> Report:
    """Measures the trackers of a preset; which channels are kept makes no difference in time."""
    notes = ["ms for update_interval frames, of which one learns; untrained weights and masks."]
    return Report([_measure(config, repeats) for config in PRESETS[preset]], notes)


def _measure(config: MetaRTTConfig, repeats: int) -> Comparison:
    case: dict[str, str | int] = {
        "channels": config.channels,
        "units": config.hidden,
        "frames": config.update_interval,
    }
    config = dataclasses.replace(config, lost_threshold=-1e6)  # a lost one is learned at once
    ways = {_WHOLE: config, _HALF: dataclasses.replace(config, kept=0.5)}
    calls: dict[str, Callable[[], Any]] = {
        name: _tracking(MetaRTT.create(config=way)) for name, way in ways.items()
    }
    times = interleaved(calls, repeats, f"{config.channels} channels")
    speedup = times[_WHOLE].minimum / times[_HALF].minimum
    return Comparison(case, times, {"all / half": speedup})


def _tracking(tracker: MetaRTT) -> Callable[[], Any]:
    """Tracks noise for as many frames as there are between two updates."""
    state, frame = started_on_noise(tracker)

    @jax.jit
    def track(tracker: MetaRTT, state: Any, frame: Frame) -> Any:
        step = lambda state, _: tracker.step(state, frame)
        return jax.lax.scan(step, state, length=tracker.config.update_interval)

    return functools.partial(track, tracker, state, frame)
