"""Checkpoints of before: format 1, whose constants and parts had other names."""

import dataclasses
import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

from basics import tensors
from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.command_line.tracker_flags import Constants
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks import checkpoints
from tracking_tasks.trackers import TRACKERS, history

OLD = pathlib.Path(__file__).parent / "old_checkpoints"
DIMP = OLD / "format_1_dimp.safetensors"  # of a tiny DiMP, written by format 1's own code
# The constants of all trackers by default, as format 1 wrote them.
CONSTANTS = json.loads((OLD / "format_1_constants.json").read_text())


def test_a_checkpoint_of_format_1_gives_its_constants_and_leaves():
    assert checkpoints.read_metadata(DIMP)["format"] == "metaopt tracker 1"
    tracker, rule = checkpoints.load(DIMP, "dimp", backbone=Tiny())
    config = tracker.config
    assert rule == "none" and (config.min_inside, config.scale_lr) == (0.3, 0.7)
    assert (config.iou.max_aspect, config.iou.center_lr, config.iou.width) == (5.0, 0.5, 2)
    assert config.loss.min_regularization == 0.002
    assert config.localization.lost_threshold == 0.2
    leaves, stored = named_leaves(tracker), tensors.read(DIMP)
    for name, tensor in stored.items():
        np.testing.assert_array_equal(leaves[name.replace("maximizer.", "refiner.")], tensor)
    assert any(name.startswith("maximizer.") for name in stored)


def test_it_may_be_started_from():
    tracker, _ = checkpoints.load(DIMP, "dimp", backbone=Tiny())
    other = type(tracker).create("none", tracker.config, Tiny())
    other.refiner.predictor.output.kernel[...] = jnp.zeros((4, 1))
    started = checkpoints.start_from(DIMP, other)
    stored = tensors.read(DIMP)["maximizer.predictor.output.kernel"]
    np.testing.assert_array_equal(started.refiner.predictor.output.kernel[...], stored)
    assert (stored != 0).all()


def test_what_is_saved_today_has_the_names_of_today(tmp_path):
    tracker, _ = checkpoints.load(DIMP, "dimp", backbone=Tiny())
    path = tmp_path / "new.safetensors"
    checkpoints.save(path, tracker, "none")
    assert checkpoints.read_metadata(path)["format"] == "metaopt tracker 2"
    assert not any(name.startswith("maximizer") for name in tensors.read(path))
    again, _ = checkpoints.load(path, "dimp", backbone=Tiny())
    assert again.config == tracker.config


@pytest.mark.parametrize("name", TRACKERS)
def test_all_constants_of_format_1_have_a_name_today(name):
    today = history.current_constants(name, CONSTANTS[name])
    known = json.loads(json.dumps(dataclasses.asdict(TRACKERS[name].config_type())))
    assert _names(today) <= _names(known)
    # None was lost on the way but those that are gone.
    gone = sum(old.startswith(f"{name}.") for old in history.RETIRED)
    assert len(_names(today)) == len(_names(CONSTANTS[name])) - gone


def test_a_constant_that_is_gone_is_named_unless_it_has_its_usual_value():
    constants = CONSTANTS["meta_rtt"] | {"training": "pruning"}
    with pytest.raises(InputError, match=r"meta_rtt\.training=pruning: this constant is gone"):
        history.current_constants("meta_rtt", constants)


def test_names_go_to_and_fro():
    assert history.current("dimp.overlap.least_overlap") == "dimp.iou.min_overlap"
    assert history.current("dimp.overlap.width") == "dimp.iou.width"
    for name in ("dimp.iou.min_overlap", "dimp.iou.width", "roam.lost_threshold"):
        assert history.current(history.former(name)) == name != history.former(name)
    assert history.former("roam.clip") == history.current("roam.clip") == "roam.clip"


def test_flags_may_have_their_old_names():
    registry = flags.FlagValues()
    constants = Constants(registry)
    registry(["program", "--dimp.overlap.largest_aspect=4.5", "--dimp.min_inside=0.4"])
    config = constants.apply("dimp", TRACKERS["dimp"].config_type())
    assert (config.iou.max_aspect, config.min_inside) == (4.5, 0.4)
    assert constants.given("dimp") == {"dimp.iou.max_aspect": 4.5, "dimp.min_inside": 0.4}


def _names(constants, prefix=""):
    """All constants, those inside others too."""
    found = set()
    for key, value in constants.items():
        found |= _names(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key}
    return found
