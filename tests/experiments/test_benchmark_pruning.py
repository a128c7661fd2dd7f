import json

from experiments import benchmark
from tests.experiments.programs import run


def test_frames_with_and_without_pruning_are_timed(tmp_path):
    flags = "--suite=pruning", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    (row,) = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    assert row["case"] == {"channels": 4, "units": 8, "frames": 2}
    whole, half = (
        row["milliseconds"][name]["minimum"] for name in ("all channels", "half of them")
    )
    assert row["all / half"] == whole / half
