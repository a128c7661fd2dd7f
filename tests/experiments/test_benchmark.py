import itertools
import json
import time

import jax
import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import inner_loop, report, timing
from tests.experiments.programs import error_line, picture_width, run
from tracking_tasks.trackers.dimp.loss import DiscriminativeLossConfig

CASES = [
    {"features": "6x6x8", "type": "float32", "steps": 2, "pass": name}
    for name in ("forward", "forward + backward")
]


@pytest.mark.full
@pytest.mark.figures
def test_inner_loop_prints_every_row_and_its_recursions_agree(tmp_path, capsys):
    flags = "--suite=inner_loop", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert [results[name] for name in ("suite", "preset", "repeats")] == ["inner_loop", "smoke", 1]
    assert results["machine"]["jax"] == jax.__version__
    assert results["machine"]["cpu_count"] >= 1
    rows = results["comparisons"]
    assert [row["case"] for row in rows] == CASES
    for row in rows:
        ours, plain = row["milliseconds"].values()
        assert 0 < ours["minimum"] <= ours["median"]
        assert row["plain / ours"] == pytest.approx(plain["minimum"] / ours["minimum"])
        passes = {"forward": 4, "forward + backward": 7}[row["case"]["pass"]]
        floor = passes * (4 * 2 * 6 * 6 * 8) / (1e9 * row["read, GB/s"]) * 1e3
        assert row["floor, ms"] == pytest.approx(floor)
        assert row["ours / floor"] == pytest.approx(ours["minimum"] / floor)
        products = passes * 2 * 16 * (2 * 6 * 6 * 8) / (1e9 * row["product, GFLOP/s"]) * 1e3
        assert row["arithmetic, ms"] == pytest.approx(products)
        assert row["ours / arithmetic"] == pytest.approx(ours["minimum"] / products)
        assert 0 <= row["difference"] < 1e-4
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in printed[2:4]] == [["6x6x8", "float32", "2"]] * 2
    assert picture_width(tmp_path / "times.png") > 500


def test_the_full_preset_has_the_sizes_of_dimp():
    full = inner_loop.PRESETS["full"]
    assert (full.samples, full.maps, full.steps) == (15, ((18, 256), (22, 512)), (5, 10))


@pytest.mark.parametrize(("way", "convolves"), [("matrix product", 0), ("plain convolution", 1)])
def test_only_the_plain_recursion_convolves(way, convolves):
    loss = inner_loop._LOSSES[way](DiscriminativeLossConfig())
    target_filter, samples = inner_loop.problem(2, 5, 3)
    program = str(jax.make_jaxpr(loss)(target_filter, samples))
    assert ("conv_general_dilated" in program) == convolves


def test_the_loop_runs_in_half_precision():
    arguments = inner_loop.problem(2, 6, 8, jax.numpy.bfloat16)
    loss = inner_loop.DiscriminativeLoss(DiscriminativeLossConfig())
    rounded = jax.tree.map(lambda leaf: leaf.astype(jax.numpy.float32), arguments)
    found, expected = (inner_loop.forward(loss, *given, steps=2) for given in (arguments, rounded))
    assert found.dtype == jax.numpy.bfloat16
    assert 0 < timing.relative_difference(found.astype(jax.numpy.float32), expected) < 0.02


@pytest.mark.full
def test_the_backward_pass_is_the_gradient_of_the_forward_pass():
    with jax.enable_x64(True):
        loss = inner_loop.PlainDiscriminativeLoss(DiscriminativeLossConfig())
        target_filter, samples = inner_loop.problem(2, 5, 3)
        _, gradient, _ = inner_loop.forward_backward(loss, target_filter, samples, steps=2)
        direction = np.cos(np.arange(target_filter.size)).reshape(target_filter.shape)
        squares = [
            np.sum(inner_loop.forward(loss, target_filter + h * direction, samples, steps=2) ** 2)
            for h in (1e-6, -1e-6)
        ]
        slope = (squares[0] - squares[1]) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6)


def test_every_round_times_everything():
    order = []

    def call(name, seconds):
        order.append(name)
        time.sleep(seconds)
        return np.ones(1)

    calls = {"slow": lambda: call("slow", 0.12), "quick": lambda: call("quick", 0.03)}
    measured = timing.interleaved(calls, repeats=2, label="")
    once = [name for index, name in enumerate(order) if index == 0 or order[index - 1] != name]
    assert once == ["slow", "quick"] * 3
    assert order.count("slow") == 3
    assert order.count("quick") > 3  # repeated within a round
    for name, seconds in [("slow", 0.12), ("quick", 0.03)]:
        assert seconds <= measured[name].minimum <= measured[name].median


def test_another_clock_may_be_read():
    ticks = itertools.accumulate(itertools.cycle([1.0, 3.0]))  # a call takes 3, what is between 1
    calls = {"call": lambda: np.ones(1)}
    measured = timing.interleaved(calls, 2, "", lambda: next(ticks))["call"]
    assert (measured.minimum, measured.median) == (3.0, 3.0)


def test_difference_is_relative_to_the_largest_magnitude_of_each_leaf():
    actual = {"a": np.float32([10.5, 0]), "b": np.float32([0.3])}
    expected = {"a": np.float32([10, 0]), "b": np.float32([0.2])}
    assert timing.relative_difference(actual, expected) == pytest.approx(0.5)


def test_table_shows_times_and_numbers_in_three_digits():
    measurement = timing.Measurement(None, minimum=0.0012345, median=0.1234567)
    row = report.Comparison({"steps": 5}, {"ours": measurement}, {"ratio": 12345.6, "tiny": 1e-7})
    lines = report.table(report.Report([row], ["A note."])).splitlines()
    assert lines[0].split("  ")[0] == "steps"
    assert lines[1].split() == ["5", "1.23", "/", "123", "12346", "1.0e-07"]
    assert lines[-1] == "A note."


@pytest.mark.parametrize("flag", ["--suite=outer_loop", "--preset=huge", "--repeats=0"])
def test_a_wrong_flag_ends_in_one_line(flag, capsys):
    assert run(benchmark, flag) == 2
    assert flag.split("=")[1] in error_line(capsys)
