import json

import jax
import pytest

from experiments import benchmark
from experiments.benchmarks import pruning
from experiments.benchmarks.timing import Measurement
from tests.experiments.programs import run


@pytest.mark.full
def test_frames_with_and_without_pruning_are_timed(tmp_path):
    flags = "--suite=pruning", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    (row,) = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    assert row["case"] == {"channels": 4, "units": 8, "frames": 2}
    whole, half = (
        row["milliseconds"][name]["minimum"] for name in ("all channels", "half of them")
    )
    assert row["all / half"] == whole / half


@pytest.mark.full
def test_half_of_the_channels_is_gone_and_the_target_is_not_lost(monkeypatch):
    seconds, states = {"all channels": 3.0, "half of them": 2.0}, {}

    def interleaved(calls, repeats, label):
        states.update({name: call()[0] for name, call in calls.items()})
        return {name: Measurement(None, seconds[name], seconds[name]) for name in calls}

    monkeypatch.setattr(pruning, "interleaved", interleaved)
    (row,) = pruning.run("smoke", 1).comparisons
    assert row.numbers == {"all / half": 1.5}
    widths = [
        [leaf.shape[-1] for leaf in jax.tree.leaves((states[name].shared, states[name].classifier))]
        for name in seconds
    ]
    assert widths == [[4, 4, 8, 8, 8, 8, 2, 2], [2, 2, 4, 4, 4, 4, 2, 2]]
    for state in states.values():
        assert int(state.frames) == 2 and not state.lost
