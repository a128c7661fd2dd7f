"""Runs a tracker through sequences: one by one, or several side by side.

Side by side on the CPU, each video goes through a thread with a tracker of its own: XLA releases
Python's lock, so that while one video waits for its frame, or for what does not spread over cores,
others compute. The programs are those of one by one, and so are the boxes, to the last bit, and the
processor's time. On other devices all videos take a step together, by `vmap`, which fills a wide
device; there sums are taken in another order, and boxes agree to rounding only. On the CPU that
takes DiMP three times the processor's time: gathers are slow in a batch, and every video pays for
the update of a filter in every frame, for under `vmap` both sides of a condition are computed.
`python -m experiments.benchmark --suite=evaluation` measures all three.
"""

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import jax
import numpy as np

from basics.errors import InputError
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.data.prefetch import prefetched
from tracking_tasks.evaluation.tracks import Recorder, Track, Tracker
from tracking_tasks.online import OnlineTracker
from tracking_tasks.online.lanes import Image, Lanes

Sequences = Sequence[sequences_lib.Sequence]
Tick = Callable[[], Any]
Tracks = Generator[tuple[int, Track]]


class BrokenSequenceError(InputError):
    """A frame of a sequence cannot be read; `index` says which sequence of those given."""

    def __init__(self, index: int, name: str, error: InputError) -> None:
        super().__init__(f"sequence {name}: {error}")
        self.index = index


def run(tracker: Tracker, sequences: Sequences, parallel_videos: int, tick: Tick) -> Tracks:
    """Yields the index and the track of each sequence as it ends.

    Args:
        tracker: started once on the first true box of each sequence.
        sequences: of at least two frames each.
        parallel_videos: how many run side by side; for more than one, the tracker must be an
            `OnlineTracker`.
        tick: called after each frame, by one thread at a time.

    Raises:
        BrokenSequenceError: a frame cannot be read.
        InputError: the tracker cannot run side by side.
    """
    if parallel_videos == 1:
        return one_by_one(tracker, sequences, tick)
    if not isinstance(tracker, OnlineTracker):
        raise InputError(
            f"a {type(tracker).__name__} cannot track videos side by side: track one at a time"
        )
    side_by_side = in_threads if jax.default_backend() == "cpu" else vmapped
    return side_by_side(tracker, sequences, parallel_videos, tick)


def one_by_one(tracker: Tracker, sequences: Sequences, tick: Tick) -> Tracks:
    """As `run`, one video after the other."""
    for index, sequence in enumerate(sequences):
        yield index, _track(tracker, index, sequence, tick, videos=lambda: 1)


def _images(index: int, sequence: sequences_lib.Sequence) -> Generator[Image]:
    """The frames of a sequence; raises BrokenSequenceError at one that cannot be read."""
    try:
        yield from prefetched(sequence)
    except InputError as error:
        raise BrokenSequenceError(index, sequence.name, error) from error


def _track(
    tracker: Tracker,
    index: int,
    sequence: sequences_lib.Sequence,
    tick: Tick,
    videos: Callable[[], int],
) -> Track:
    """Runs through one sequence beside others, `videos()` in all."""
    recorder = Recorder(sequence.boxes[0])
    with contextlib.closing(_images(index, sequence)) as images:
        tracker.init(next(images), sequence.boxes[0])
        tick()
        for image in images:
            start = time.perf_counter()
            prediction = tracker.update(image)
            # The conversions wait for the computation, which JAX runs asynchronously.
            box = np.asarray(prediction.box, np.float32)
            confidence = float(np.asarray(prediction.score))
            undone = bool(getattr(prediction, "undone", False))
            recorder.add(box, confidence, (time.perf_counter() - start) / videos(), undone)
            tick()
    return recorder.track()


class _AbandonedError(Exception):
    """Ends a thread that nobody waits for any more."""


def in_threads(
    tracker: OnlineTracker, sequences: Sequences, parallel_videos: int, tick: Tick
) -> Tracks:
    """As `run`, each video in a thread; a thread whose video ends takes the next."""
    lock, abandoned = threading.Lock(), threading.Event()
    active: set[int] = set()

    def guarded_tick() -> None:
        if abandoned.is_set():
            raise _AbandonedError
        with lock:
            tick()

    def track(index: int) -> Track:
        active.add(index)
        try:
            videos = lambda: len(active)
            return _track(tracker.clone(), index, sequences[index], guarded_tick, videos)
        finally:
            active.remove(index)

    # The longest first, so that no long one is left to run alone at the end.
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    pool = concurrent.futures.ThreadPoolExecutor(parallel_videos)
    futures = {pool.submit(track, index): index for index in order}
    try:
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result()
    finally:
        abandoned.set()
        pool.shutdown(cancel_futures=True)


@dataclasses.dataclass(frozen=True)
class _Video:
    """A video in a lane."""

    index: int
    length: int
    images: Generator
    recorder: Recorder


def vmapped(
    tracker: OnlineTracker, sequences: Sequences, parallel_videos: int, tick: Tick
) -> Tracks:
    """As `run`, each video in a lane of a vmapped step; a lane whose video ends takes the next."""
    lanes = Lanes(tracker, min(parallel_videos, len(sequences)))
    # Large frames first, for all lanes are padded to the largest; and long videos before short.
    size_and_length = lambda index: (sequences[index].frame(0).size, len(sequences[index]))
    waiting = sorted(range(len(sequences)), key=size_and_length)
    running: dict[int, _Video] = {}
    with contextlib.ExitStack() as stack:
        while waiting or running:
            for lane in sorted(set(range(lanes.count)) - running.keys()):
                if waiting:
                    index = waiting.pop()
                    sequence = sequences[index]
                    images = stack.enter_context(contextlib.closing(_images(index, sequence)))
                    recorder = Recorder(sequence.boxes[0])
                    running[lane] = _Video(index, len(sequence), images, recorder)
                    lanes.init(lane, next(images), sequence.boxes[0])
                    tick()
            frames = {lane: next(video.images) for lane, video in running.items()}
            start = time.perf_counter()
            predictions = lanes.update(frames)
            share = (time.perf_counter() - start) / len(frames)
            for lane, (box, score, _, undone) in predictions.items():
                running[lane].recorder.add(np.asarray(box), float(score), share, bool(undone))
                tick()
            for lane in [lane for lane, v in running.items() if len(v.recorder) == v.length]:
                video = running.pop(lane)
                yield video.index, video.recorder.track()
