"""From nothing to a tracked frame: new processes, with an empty and with a full compilation cache.

A process imports this project, loads a tracker, fits it to the target of a first frame, and finds
it in the next one. Programs are compiled on the way, unless an earlier process left them in the
cache.
"""

import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from tqdm import tqdm

import tracking_tasks
from basics.errors import InputError
from basics.files import parse_json
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import Measurement

_HOME = pathlib.Path(tracking_tasks.__file__).parents[1]
_EMPTY, _FULL = "empty", "full"
_STAGES = ("import", "load", "first frame", "next frame")
_ALL, _PROCESSOR = "all", "processor time"
# What it takes until each stage has ended, in seconds; then the processor's time, children apart.
_PROGRAM = """
import json, sys, time
ends = [time.perf_counter()]
def end(): ends.append(time.perf_counter())
import tracking_tasks
load = tracking_tasks.load
import numpy as np
from basics.compilation import keep_compiled_programs
keep_compiled_programs()
end()
tracker = {load}
end()
image = np.random.default_rng(0).integers(0, 255, (384, 480, 3), np.uint8)
tracker.init(image, [200, 150, 60, 60])
end()
tracker.update(image)
end()
print(json.dumps([*np.diff(ends), time.process_time()]))
"""
_SMALL = (
    "tracking_tasks.OnlineTracker(tracking_tasks.TRACKERS['gradnet'].create("
    "config=tracking_tasks.TRACKERS['gradnet'].config_type.small()), 'none')"
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """What starts.

    Attributes:
        trackers: by name, the expression that makes one.
    """

    trackers: dict[str, str]


PRESETS = {
    "smoke": Preset({"gradnet": _SMALL}),
    "full": Preset({name: f"load({name!r})" for name in ("dimp", "meta_rtt")}),
}


def run(preset: str, repeats: int) -> Report:
    """Starts every tracker of a preset so many times with an empty cache, and then with that."""
    trackers = PRESETS[preset].trackers
    seconds: dict[tuple[str, str], list[Sequence[float]]] = {}
    with tqdm(total=2 * repeats * len(trackers), desc="start", unit="process") as bar:
        for _ in range(repeats):
            for name, load in trackers.items():
                with tempfile.TemporaryDirectory() as cache:
                    for state in (_EMPTY, _FULL):
                        seconds.setdefault((name, state), []).append(_started(load, cache))
                        bar.update()
    rows = [
        Comparison({"tracker": name, "cache": state}, _times(found), {})
        for (name, state), found in seconds.items()
    ]
    return Report(rows, _notes())


def _started(load: str, cache: str) -> list[float]:
    """The seconds of each stage, and the processor's, of one process.

    Raises:
        InputError: it fails.
    """
    given = {"JAX_COMPILATION_CACHE_DIR": cache, "PYTHONPATH": str(_HOME)}
    program = subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("{load}", load)],
        env=os.environ | given,
        capture_output=True,
        text=True,
    )
    if program.returncode:
        raise InputError(f"a new process fails: {program.stderr.strip().splitlines()[-1]}")
    return list(parse_json(program.stdout.splitlines()[-1]))


def _times(found: list[Sequence[float]]) -> dict[str, Measurement]:
    """Of all processes, by stage and in all."""
    columns = dict(zip((*_STAGES, _PROCESSOR), zip(*found, strict=True), strict=True))
    columns[_ALL] = tuple(sum(seconds[: len(_STAGES)]) for seconds in found)
    return {
        name: Measurement(None, min(columns[name]), statistics.median(columns[name]))
        for name in (*_STAGES, _ALL, _PROCESSOR)
    }


def _notes() -> list[str]:
    return [
        "Whole processes, of which each tracker's second one finds what the first one compiled; "
        "Python's own start is not in it. What the first frame computes may end in the next one.",
        "processor time: of all cores together, which other load on the machine disturbs least.",
    ]
