"""Videos one by one and side by side: the same boxes, whichever way."""

import threading
import time
import types

import jax
import numpy as np
import pytest

from basics.errors import InputError
from tests.tracking_tasks import golden, tiny
from tracking_tasks import evaluation
from tracking_tasks.data.prefetch import prefetched
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import engine
from tracking_tasks.online import OnlineTracker
from tracking_tasks.online import lanes as lanes_module
from tracking_tasks.online.lanes import Lanes


def moving_square(name, frames, height=100, width=128, speed=2):
    """A striped square that moves over noise, in a picture of that size."""
    random = np.random.default_rng(len(name) + frames)
    background = random.integers(90, 140, (height, width, 3)).astype(np.uint8)
    target = np.zeros((24, 24, 3), np.uint8)
    target[::4] = target[1::4] = (250, 220, 20)
    images, boxes = [], []
    for index in range(frames):
        image, x = background.copy(), 30 + speed * index
        image[40:64, x : x + 24] = target
        images.append(image)
        boxes.append([x, 40, 24, 24])
    return Sequence(name, tuple(images), np.float32(boxes))


class Counting(OnlineTracker):
    """Says where it is in its video; one that is told to waits, or breaks."""

    def __init__(self, pause=0.0, break_at=None):
        self.pause, self.break_at, self.most, self.running = pause, break_at, [0], [0]

    def clone(self):
        other = Counting(self.pause, self.break_at)
        other.most, other.running = self.most, self.running
        return other

    def init(self, image, box):
        self.box = np.array(box)

    def update(self, image):
        self.running[0] += 1
        self.most[0] = max(self.most[0], self.running[0])
        time.sleep(self.pause)
        self.running[0] -= 1
        self.box = self.box + np.float32([1, 0, 0, 0])
        if self.break_at == self.box[0]:
            raise InputError("a frame cannot be read")
        return types.SimpleNamespace(box=self.box, score=self.box[0] / 100)


@pytest.fixture(scope="module", params=["golden", pytest.param("dimp", marks=pytest.mark.full)])
def tracker(request):
    if request.param == "golden":
        return OnlineTracker(golden.make(), "none")
    return OnlineTracker(tiny.make(crop_size=96), "steepest_descent")


@pytest.fixture(scope="module")
def videos():
    """Of several lengths, and of several sizes that are padded alike."""
    sizes = [(7, 100, 128), (4, 120, 100), (5, 90, 110), (3, 128, 128), (6, 100, 100)]
    return [moving_square(f"{n} frames", n, height, width) for n, height, width in sizes]


@pytest.fixture(scope="module")
def one_by_one(tracker, videos):
    return evaluation.evaluate(tracker, videos, progress=False)


def test_threads_give_the_boxes_of_one_by_one_to_the_last_bit(tracker, videos, one_by_one):
    assert jax.default_backend() == "cpu"
    kept = []
    together = evaluation.evaluate(
        tracker, videos, parallel_videos=3, keep=kept.append, progress=False
    )
    assert [result.name for result in together] == [video.name for video in videos]
    assert sorted(result.name for result in kept) == sorted(video.name for video in videos)
    for alone, beside in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(alone.boxes, beside.boxes)
        np.testing.assert_array_equal(alone.confidences, beside.confidences)
        assert len(beside.seconds) == len(alone.seconds)


def test_lanes_give_the_boxes_of_one_by_one_to_rounding(tracker, videos, one_by_one):
    ticks, compiled = [], lanes_module._steps._cache_size()
    tracks = dict(engine.vmapped(tracker, videos, 2, lambda: ticks.append(1)))
    assert lanes_module._steps._cache_size() == compiled + 1  # whatever the frame sizes
    assert len(ticks) == sum(map(len, videos))
    for index, alone in enumerate(one_by_one):
        np.testing.assert_allclose(tracks[index].boxes, alone.boxes, rtol=0, atol=0.01)
        np.testing.assert_allclose(tracks[index].confidences, alone.confidences, atol=1e-3)


def test_a_lane_takes_the_next_video_when_its_own_ends(tracker, videos, monkeypatch):
    used = []
    update = Lanes.update
    monkeypatch.setattr(
        Lanes, "update", lambda self, images: used.append(len(images)) or update(self, images)
    )
    order = [index for index, _ in engine.vmapped(tracker, videos, 2, lambda: None)]
    assert sorted(order) == [0, 1, 2, 3, 4]
    updates = sum(len(video) - 1 for video in videos)
    assert sum(used) == updates
    assert used.count(2) >= updates // 2 - 1  # no lane was idle while a video waited


def test_threads_run_so_many_videos_at_once():
    videos = [moving_square(name, 6) for name in "abcde"]
    tracker = Counting(pause=0.01)
    tracks = dict(engine.run(tracker, videos, 3, lambda: None))
    assert tracker.most == [3]
    for track in tracks.values():
        np.testing.assert_array_equal(track.boxes[:, 0], 30 + np.arange(6))
        np.testing.assert_allclose(track.confidences[1:], (30 + np.arange(1, 6)) / 100)
        assert track.confidences[0] == 1
    # The share of each is a third of its time, or more when fewer were left.
    assert np.median(tracks[0].seconds) < 0.01


def test_results_of_threads_are_in_the_order_of_the_videos_and_kept_as_they_end():
    """The longest ends last, and is the first of the list."""
    videos = [moving_square("long", 12), moving_square("middle", 6), moving_square("short", 2)]
    kept = []
    results = evaluation.evaluate(
        Counting(pause=0.005), videos, parallel_videos=3, keep=kept.append, progress=False
    )
    assert [result.name for result in results] == ["long", "middle", "short"]
    assert [result.name for result in kept] == ["short", "middle", "long"]
    for result, video in zip(results, videos, strict=True):
        np.testing.assert_array_equal(result.boxes[:, 0], 30 + np.arange(len(video)))
        assert len(result.seconds) == len(video) - 1


def test_an_error_in_one_thread_ends_the_others():
    videos = [moving_square(name, 200, width=30 + 2 * 200 + 24) for name in "abc"]
    ticks = []
    with pytest.raises(InputError, match="cannot be read"):
        list(engine.run(Counting(0.001, break_at=40), videos, 3, lambda: ticks.append(1)))
    assert len(ticks) < 100
    assert threading.active_count() < 10


def test_only_a_tracker_that_can_be_cloned_runs_side_by_side():
    class Alone:
        def init(self, image, box): ...

        def update(self, image): ...

    with pytest.raises(InputError, match="Alone cannot track videos side by side"):
        engine.run(Alone(), [], 2, lambda: None)


def test_frames_come_in_order_and_are_read_ahead():
    read = []

    class Slow(Sequence):
        def frame(self, index):
            read.append(index)
            return super().frame(index)

    video = moving_square("slow", 5)
    images = prefetched(Slow(video.name, video.frames, video.boxes))
    np.testing.assert_array_equal(next(images), video.frames[0])
    time.sleep(0.05)
    assert read == [0, 1, 2]
    for image, expected in zip(images, video.frames[1:], strict=True):
        np.testing.assert_array_equal(image, expected)
    assert read == [0, 1, 2, 3, 4]
