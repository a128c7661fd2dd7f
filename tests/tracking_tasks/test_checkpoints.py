"""Checkpoints of before: format 1, whose constants and parts had other names."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

from basics import tensors
from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.command_line.tracker_flags import Constants
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks import checkpoints, shipped_weights
from tracking_tasks.trackers import TRACKERS, history, ranges
from tracking_tasks.trackers.dimp.tracker import DiMP, DiMPConfig

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


def test_parts_that_a_setting_does_not_use_are_no_reason_to_refuse():
    searching = lambda config: dataclasses.replace(config, box_estimation="scale_search")
    whole, _ = checkpoints.load(DIMP, "dimp", backbone=Tiny())
    tracker, _ = checkpoints.load(DIMP, "dimp", backbone=Tiny(), change=searching)
    assert whole.refiner is not None and tracker.refiner is None
    leaves = named_leaves(whole)
    for name, leaf in named_leaves(tracker).items():
        np.testing.assert_array_equal(leaf, leaves[name])


def test_a_blank_tracker_is_one_of_zeros_on_its_backbone():
    backbone = Tiny()
    made, blank = (make("lstm", DiMPConfig(), backbone) for make in (DiMP.create, DiMP.blank))
    assert jax.tree.structure(made) == jax.tree.structure(blank)
    leaves = named_leaves(made)
    for name, leaf in named_leaves(blank).items():
        assert (leaf.shape, leaf.dtype) == (leaves[name].shape, leaves[name].dtype)
        np.testing.assert_array_equal(leaf, leaves[name] if "backbone" in name else 0 * leaf)


def test_a_tracker_that_looks_at_its_random_numbers_is_made_of_them(monkeypatch):
    made = DiMP.create("none", DiMPConfig(), Tiny())
    looking = lambda *_: made if np.asarray(jax.random.normal(jax.random.key(0))) else None
    monkeypatch.setattr(DiMP, "_create", looking)
    assert DiMP.blank("none", DiMPConfig(), Tiny()) is made


def test_nothing_is_compiled_to_read_shipped_weights(caplog):
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for name in TRACKERS:
            checkpoints.load(shipped_weights(name), name)
    assert "Compiling" not in caplog.text


def tampered(tmp_path, **changes):
    """A checkpoint with other metadata; None takes an entry out."""
    metadata = {**checkpoints.read_metadata(DIMP), **changes}
    path = tmp_path / "tampered.safetensors"
    tensors.write(path, tensors.read(DIMP), {k: v for k, v in metadata.items() if v is not None})
    return path


def constants_with(**changes):
    return json.dumps(json.loads(checkpoints.read_metadata(DIMP)["config"]) | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracker": None}, "has no tracker"),
        ({"inner_optimizer": None}, "has no inner_optimizer"),
        ({"config": None}, "has no config"),
        ({"tracker": "x" * 1000}, "is of the unknown tracker 'x"),
        ({"inner_optimizer": "y"}, "is of the unknown inner_optimizer 'y'"),
        ({"config": "null"}, "config is unreadable"),
        ({"config": "[1]"}, "config is unreadable"),
        ({"config": "["}, "config is unreadable"),
        ({"config": "[" * 100_000}, "config is unreadable"),
        ({"config": constants_with(loss=3)}, "config is unreadable"),
        ({"config": constants_with(unheard_of=3)}, "config is unreadable"),
        ({"config": constants_with(crop_size=-5)}, "crop_size must lie from 16 to 2048"),
        ({"config": constants_with(memory_size=10**9)}, "memory_size must lie from 1 to 10000"),
        ({"config": constants_with(search_factor=float("nan"))}, "search_factor must lie from"),
    ],
)
def test_metadata_that_cannot_be_used_is_said_in_a_short_sentence(tmp_path, changes, message):
    path = tampered(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as refused:
        checkpoints.load(path, "dimp", backbone=Tiny())
    assert len(str(refused.value).removeprefix(f"checkpoint {path}")) < 300


@pytest.mark.parametrize("name", sorted(TRACKERS))
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_size": 10**6}, "constant crop_size must lie from 16 to 2048, not 1000000"),
        ({"train_steps": -1}, "constant train_steps must lie from 0 to 100000, not -1"),
        ({"initial_lr": float("inf")}, "constant initial_lr must lie from -1e"),
    ],
)
def test_constants_that_cannot_be_meant_are_refused_by_every_config(name, changes, message):
    config = TRACKERS[name].config_type.small()
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **changes)


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = 3
    way: str = "a"
    flags: tuple[bool, ...] = (True,)


@dataclasses.dataclass(frozen=True)
class Outer:
    rate: float = 1
    on: bool = True
    scales: tuple[float, ...] = (1.0,)
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Outer(rate=True), "constant rate must be of type float, not 'True'"),
        (Outer(on=1), "constant on must be of type bool, not '1'"),
        (
            Outer(inner=Inner(size="large")),
            r"constant inner\.size must be of type int, not 'large'",
        ),
        (Outer(inner=Inner(way=3)), r"constant inner\.way must be of type str, not '3'"),
        (Outer(inner=Inner(size=-1)), r"constant inner\.size must lie from 0 to 100000, not -1"),
        (Outer(scales=(1.0, float("nan"))), "constant scales must lie from -1e"),
    ],
)
def test_each_constant_has_its_type_and_its_range(config, message):
    ranges.require_in_range(Outer())
    with pytest.raises(InputError, match=message):
        ranges.require_in_range(config)
