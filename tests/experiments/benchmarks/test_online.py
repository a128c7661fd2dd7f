import json

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import online
from tests.experiments.programs import run


@pytest.mark.full
def test_a_frame_is_timed_by_its_parts_beside_the_backbones_floor(tmp_path):
    flags = "--suite=online", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    (row,) = results["comparisons"]
    times = {part: time["minimum"] for part, time in row["milliseconds"].items()}
    assert row["case"] == {"tracker": "gradnet"}
    assert list(times) == ["frame", "crop", "backbone", "rest"]
    assert row["frames/s"] == pytest.approx(1e3 / times["frame"])
    assert row["frame / backbone"] == pytest.approx(times["frame"] / times["backbone"])
    assert row["backbone / its floor"] > 0
    assert (tmp_path / "times.png").stat().st_size > 0


def test_the_camera_pans_two_pixels_a_frame():
    first, second = online.pan(2)
    np.testing.assert_array_equal(first.pixels[2:], second.pixels[:-2])
    assert (first.pixels[:2] != second.pixels[:2]).any()
