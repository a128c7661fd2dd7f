import json

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import evaluation
from tests.experiments.programs import run


@pytest.mark.full
def test_side_by_side_is_compared_with_one_by_one(tmp_path, capsys):
    flags = "--suite=evaluation", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    (row,) = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    assert row["case"] == {"videos": 2, "frames": 3}
    times = {way: each["minimum"] for way, each in row["milliseconds"].items()}
    assert list(times) == ["one by one", "threads", "vmap"]
    for way in ("threads", "vmap"):
        assert row[f"one by one / {way}"] == times["one by one"] / times[way]
    assert row["difference of threads, pixels"] == 0
    assert row["difference of vmap, pixels"] < 0.01
    assert "takes threads" in capsys.readouterr().out


def test_the_full_preset_is_eight_videos_of_several_sizes(tmp_path):
    assert evaluation.PRESETS["full"].videos == 8
    videos = evaluation.pans(tmp_path, 8, 3)
    assert len({video.frame(0).shape for video in videos}) == 4
    for video in videos:
        assert max(video.frame(0).shape) <= 256
        ends = video.boxes[:, :2] + video.boxes[:, 2:]
        assert (video.boxes[:, :2] >= 0).all()
        assert (ends <= np.array(video.frame(0).shape[1::-1])).all()
