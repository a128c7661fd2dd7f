"""The suite for one accelerator: its parts in time, and what it makes of them."""

import jax
import numpy as np
import pytest

from experiments.benchmarks import gpu, inner_loop
from experiments.benchmarks.report import Comparison
from experiments.benchmarks.timing import Measurement
from tests.tracking_tasks import golden, striped, tiny


def test_no_part_begins_once_the_time_is_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(gpu.time, "monotonic", lambda: now[0])

    def part(name, seconds):
        def measure():
            now[0] += seconds
            return [Comparison({"part": name}, {}, {})]

        return measure

    parts = {name: part(name, 4.0) for name in "abcd"}
    rows, left_out = gpu.within(10.0, parts)
    assert [row.case["part"] for row in rows] == [
        "a",
        "b",
        "c",
    ]  # the third begins at 8, ends at 12
    assert left_out == ["d"]


def test_the_parts_are_those_of_the_other_suites():
    small = gpu.dataclasses.replace(gpu.PRESETS["smoke"], trackers=lambda: {"dimp": None})
    names = []
    # Traced only: the arrays of the problems are not made.
    jax.eval_shape(lambda: names.extend(name for name, _ in gpu._parts(small, 1)))
    assert names == [
        "inner loop in float32",
        "inner loop in bfloat16",
        "dimp side by side",
        "classifier, gradient descent",
        "DiMP filter, steepest descent",
        "ROAM filter, LSTM",
        "outer steps of dimp",
    ]


@pytest.mark.parametrize("make", [golden.make, pytest.param(tiny.make, marks=pytest.mark.full)])
def test_frames_of_all_lanes_are_counted(make, monkeypatch):
    found = {}
    images, boxes = striped.video(2, speed=8)
    monkeypatch.setattr(gpu, "pan", lambda count: [striped.frame(image) for image in images])
    monkeypatch.setattr(gpu, "TARGET", tuple(boxes[0]))

    def interleaved(calls, repeats, label):
        found.update({count: call() for count, call in calls.items()})
        return {count: Measurement(None, 0.1 * count, 0.2) for count in calls}

    monkeypatch.setattr(gpu, "interleaved", interleaved)
    rows = gpu.side_by_side(make(), (1, 3), 1)
    assert [row.case for row in rows] == [{"tracker": "dimp", "lanes": n} for n in (1, 3)]
    assert [row.numbers["frames/s"] for row in rows] == pytest.approx([10.0, 10.0])
    assert list(found[3]) == [0, 1, 2]
    np.testing.assert_allclose(found[3][2].box, found[1][0].box, atol=1e-2)
    assert boxes[0, 0] + 2 < found[1][0].box[0] < boxes[1, 0] + 2  # of the second frame


@pytest.mark.full
@pytest.mark.figures
def test_all_parts_end_in_one_table_each(monkeypatch):
    outer = Comparison({"tracker": "gradnet"}, {"--pool": Measurement(None, 1.0, 1.0)}, {})
    monkeypatch.setattr(gpu.meta_training, "measure", lambda *_: outer)
    report = gpu.run("smoke", 1)
    columns = list(dict.fromkeys(tuple(row.case) for row in report.comparisons))
    assert columns == [
        ("features", "type", "steps", "pass"),
        ("tracker", "lanes"),
        ("problem", "adjoint", "steps"),
        ("tracker",),
    ]
    types = [row.case["type"] for row in report.comparisons if "type" in row.case]
    assert types == ["float32"] * 2 + ["bfloat16"] * 2
    assert not any("Left out" in note for note in report.notes)
    assert report.figures["lanes"].axes[0].lines[0].get_xdata().tolist() == [1, 2]


def test_the_full_preset_has_the_sizes_of_the_other_suites():
    full = gpu.PRESETS["full"]
    assert full.filters.maps == inner_loop.PRESETS["full"].maps
    assert full.lanes == (1, 16, 64)
