"""Steps that are timed are steps of a meta-training, on rendered episodes and from a pool."""

import pytest

from experiments.benchmarks import meta_training
from experiments.benchmarks.timing import Measurement
from experiments.meta_training import outer_loop, training
from models import Features
from tests.experiments.meta_training.makers import MAKERS
from tests.experiments.meta_training.small_run import CONFIG, batches


@pytest.mark.parametrize("make", MAKERS)
def test_every_call_is_the_next_step_of_a_training(make):
    tracker = make()
    steps = meta_training._Steps(tracker, batches, CONFIG)
    losses = [float(steps()["outer_loss"]) for _ in range(2)]
    transformation, advance = training.steps(tracker, batches, CONFIG)
    state = outer_loop.beginning(tracker, transformation, CONFIG.frozen)
    state, first = advance(state, 0)
    _, second = advance(state, 1)
    assert losses == [float(first["outer_loss"]), float(second["outer_loss"])]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("make", MAKERS)
def test_a_step_is_timed_on_rendered_episodes_and_on_those_of_a_pool(make, monkeypatch):
    seconds, ways, real = {"rendered": 0.5, "--pool": 0.1}, [], training.steps

    def interleaved(calls, repeats, label):
        assert all(call()["outer_loss"] > 0 for call in calls.values())
        return {way: Measurement(None, seconds[way], seconds[way]) for way in calls}

    def steps(tracker, batches, config):
        ways.append(isinstance(batches(0).query_images, Features))
        return real(tracker, batches, config)

    preset = meta_training.Preset(CONFIG, lambda: {"dimp": make()}, 96)
    monkeypatch.setitem(meta_training.PRESETS, "smoke", preset)
    monkeypatch.setattr(meta_training, "load_bank", lambda side: f"photographs of {side} pixels")

    def rendered_batches(bank, config):
        assert bank == "photographs of 96 pixels"
        return batches

    monkeypatch.setattr(training, "rendered_batches", rendered_batches)
    monkeypatch.setattr(training, "steps", steps)
    monkeypatch.setattr(meta_training, "interleaved", interleaved)
    (row,) = meta_training.run("smoke", 1).comparisons
    assert row.case == {"tracker": "dimp"}
    assert row.numbers == {
        "steps/s, rendered": 2.0, "steps/s, --pool": 10.0, "rendered / --pool": 5.0
    }  # fmt: skip
    assert ways == [False, True]
