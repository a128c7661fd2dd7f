"""Flags that programs share."""

import pytest
from absl import flags

from basics.errors import InputError
from experiments.command_line import tracker_flags


def loaded(*arguments):
    registry = flags.FlagValues()
    tracker = tracker_flags.LoadedTracker(registry)
    registry(["program", *arguments])
    return tracker


def test_constants_of_a_checkpoint_can_be_changed():
    changed = loaded("--tracker=dimp", "--dimp.memory_size=20", "--dimp.localization.not_found=0.1")
    tracker, shipped = changed.load(), loaded("--tracker=dimp").load().tracker.config
    assert changed.metadata(tracker)["constants"] == {
        "dimp.memory_size": "20",
        "dimp.localization.lost_threshold": "0.1",  # by a name that it had before
    }
    config = tracker.tracker.config
    assert (config.memory_size, config.localization.lost_threshold) == (20, 0.1)
    assert config.search_factor == shipped.search_factor and shipped.memory_size == 50


def test_constants_that_do_not_fit_the_weights_are_an_error():
    with pytest.raises(InputError, match=r"differs in loss\.label"):
        loaded("--tracker=dimp", "--dimp.loss.bins=50").load()


def test_constants_of_another_tracker_are_an_error():
    with pytest.raises(InputError, match=r"--roam\.block is a constant of roam"):
        loaded("--tracker=dimp", "--roam.block=3").load()
