import json

import pytest

from experiments import benchmark
from experiments.benchmarks import renderer
from tests.experiments.programs import picture_width, run


def test_least_work_of_a_frame():
    case = renderer.Case(videos=1, frames=10, subframes=2, objects=3)
    assert renderer.least_bytes(case, 16) == 4 * 2 * 4 * 256 + 3 * 256
    assert renderer.least_operations(case, 16) == 74 * 2 * 4 * 256
    config = case.config(16)
    assert (config.side, config.subframes, config.distractors, config.occluders) == (16, 2, 1, 1)
    alone = renderer.Case(1, 1, 1, objects=1).config(16)
    assert (alone.distractors, alone.occluders) == (0, 0)


@pytest.mark.figures
@pytest.mark.full
def test_every_case_and_part_is_timed(tmp_path):
    flags = "--suite=renderer", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    whole, parts = rows[0], rows[1:]
    assert whole["case"] == {"videos": 2, "frames": 2, "subframes": 1, "objects": 1}
    fastest = min(time["minimum"] for time in whole["milliseconds"].values())
    assert whole["frames/s"] == pytest.approx(4 / (fastest / 1e3))
    assert whole["fastest / floor"] == pytest.approx(fastest / whole["floor, ms"])
    assert whole["fastest / floor"] > 1
    assert whole["unlike"] < 0.01
    assert sum(row["share"] for row in parts) == pytest.approx(1)
    assert "draw layers" in [row["case"]["part"] for row in parts]
    for name in ("times", "parts"):
        assert picture_width(tmp_path / f"{name}.png") > 500
