import json

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import online, trackers
from tests.experiments.programs import run


@pytest.mark.full
def test_a_frame_is_timed_by_its_parts_beside_the_backbones_floor(tmp_path):
    flags = "--suite=online", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    (row,) = results["comparisons"]
    times = {part: time["minimum"] for part, time in row["milliseconds"].items()}
    assert row["case"] == {"tracker": "gradnet"}
    parts = ["crop", "backbone", "rest", "learning, scales"]
    assert list(times) == ["frame", "plain frame", *parts]
    assert sum(times[part] for part in parts) == pytest.approx(times["frame"])
    assert row["frames/s"] == pytest.approx(1e3 / times["frame"])
    assert row["plain frame / backbone"] == pytest.approx(times["plain frame"] / times["backbone"])
    assert row["backbone / its floor"] > 0
    assert (tmp_path / "times.png").stat().st_size > 0


def test_a_plain_frame_is_the_median_one_and_the_first_call_does_not_count():
    video = online.Video(*small_video())
    for _ in range(3):
        video()
    assert np.shape(video.seconds) == (2, 2)
    video.seconds = [[1.0, 2.0, 6.0, 2.0], [2.0, 1.0, 9.0, 3.0]]
    mean, plain = video.times()
    assert (mean.minimum, plain.minimum) == (2.5, 1.5)  # of 1, 1, 6 and 2 seconds
    assert (mean.median, plain.median) == (3.25, 2.0)  # of 1.5, 1.5, 7.5 and 2.5


def small_video():
    (tracker,) = trackers.small().values()
    return tracker, online.pan(3)


def test_the_camera_pans_two_pixels_a_frame():
    first, second = online.pan(2)
    np.testing.assert_array_equal(first.pixels[2:], second.pixels[:-2])
    assert (first.pixels[:2] != second.pixels[:2]).any()
