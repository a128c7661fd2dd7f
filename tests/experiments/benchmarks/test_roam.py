import json

import pytest

from experiments import benchmark
from tests.experiments.programs import run


@pytest.mark.full
def test_steps_of_both_kinds_are_timed_and_their_memory_is_known(tmp_path):
    flags = "--suite=roam", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    outer, update = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    # Two heads of reducers (152 + 1) x 2 with 1 and 4 filters of 3 x 3 x 2 and their biases.
    coordinates = 2 * 153 * 2 + 5 * (9 * 2 + 1)
    assert outer["case"] == {
        "coordinates": coordinates, "computation": "outer step, 2 clips of 3 frames"
    }  # fmt: skip
    assert update["case"]["computation"] == "online update, 2 steps"
    for row in (outer, update):
        assert row["milliseconds"]["time"]["minimum"] > 0
    features = 4 * 2 * (9 + 2) * (8 * 8 * 40 + 4 * 4 * 112)  # bytes, of the arguments
    assert outer["memory, MB"] > features / 1e6
