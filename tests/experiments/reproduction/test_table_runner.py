"""What rows of tables share is trained and rendered once, also across runs."""

import dataclasses
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tracking_tasks
from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.meta_training import runner as runner_lib
from experiments.meta_training import training
from experiments.meta_training.runner import Videos
from experiments.reproduction import table_runner
from experiments.reproduction.table_runner import Recipe, TableRunner
from tests.experiments.programs import Follower
from tests.experiments.reproduction.judging import auc, sequence
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.tiny import CONFIG, Tiny
from tests.tracking_tasks.trackers.dimp.episodes import batches
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.trackers.dimp.config import DiMPConfig
from tracking_tasks.trackers.dimp.refinement import IoUConfig

RECIPE = Recipe("dimp", "steepest_descent", CONFIG, training.TrainingConfig(outer_steps=2))
VIDEOS = Videos(RendererConfig(), 1, 3)


@pytest.fixture
def calls(monkeypatch):
    """Counts trainings and renderings, which use the other tests' episode and video."""
    counts = {"train": 0, "render": [], "by": training.train}

    def counted(*arguments, **options):
        counts["train"] += 1
        return counts["by"](*arguments, **options)

    def rendered(key, bank, config, count, frames):
        counts["render"].append(tuple(jax.random.key_data(key).tolist()))
        return [sequence(frames)]

    monkeypatch.setattr(training, "train", counted)
    monkeypatch.setattr(training, "rendered_once", lambda bank, config: batches)
    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    monkeypatch.setattr(runner_lib, "rendered_sequences", rendered)
    return counts


def moved(tracker, _, config, folder, *rest):
    """In the place of a training: the functions of the loss rise by the seed and one."""
    folder.mkdir(parents=True)
    return tracker.replace(loss=jax.tree.map(lambda leaf: leaf + config.seed + 1, tracker.loss))


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_recipe_is_trained_once_a_seed_and_found_again(calls, tmp_path, real):
    if not real:
        calls["by"] = moved
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    first, again = runner.make(RECIPE, 0), runner.make(RECIPE, 0)
    assert calls["train"] == 1
    for name, leaf in named_leaves(first).items():
        np.testing.assert_array_equal(leaf, named_leaves(again)[name])
    other = runner.make(RECIPE, 1)
    assert calls["train"] == 2
    # `batches` has no seed: that is seen in the place of a training only.
    assert real or (other.loss.label[...] == first.loss.label[...] + 1).all()
    TableRunner("smoke", tmp_path, backbone=Tiny(), resume=True).make(RECIPE, 0)
    assert calls["train"] == 2


@pytest.mark.full
def test_another_recipe_and_a_new_run_are_trained_anew(calls, tmp_path):
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    runner.make(RECIPE, 0)
    frozen = dataclasses.replace(RECIPE.training, frozen=("backbone", "head"))
    kept = runner.make(dataclasses.replace(RECIPE, training=frozen), 0)
    assert calls["train"] == 2
    np.testing.assert_array_equal(kept.head.projection[...], np.eye(10))
    TableRunner("smoke", tmp_path, backbone=Tiny()).make(RECIPE, 0)
    assert calls["train"] == 3


@pytest.mark.full
def test_a_training_that_was_stopped_goes_on_where_it_was(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(table_runner, "_SAVE_EVERY", 1)
    four = dataclasses.replace(RECIPE, training=training.TrainingConfig(outer_steps=4))
    whole = TableRunner("smoke", tmp_path / "whole", backbone=Tiny()).make(four, 0)
    seen = []

    def stopped(index):
        seen.append(index)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return batches(index)

    monkeypatch.setattr(training, "rendered_once", lambda bank, config: stopped)
    with pytest.raises(KeyboardInterrupt):
        TableRunner("smoke", tmp_path, backbone=Tiny()).make(four, 0)
    pieces = TableRunner("smoke", tmp_path, backbone=Tiny(), resume=True).make(four, 0)
    assert seen == [0, 1, 2, 2, 3]
    for name, leaf in named_leaves(whole).items():
        np.testing.assert_array_equal(leaf, named_leaves(pieces)[name])
    assert [path.suffix for path in (tmp_path / "trained").iterdir()] == [".safetensors"]


@dataclasses.dataclass(frozen=True)
class Weighted:
    """Names a loss."""

    weight: float


def test_a_recipe_of_the_trackers_own_loss_has_the_digest_that_it_always_had():
    assert RECIPE.digest == hashlib.sha256(repr(RECIPE).encode()).hexdigest()[:12]
    other = dataclasses.replace(RECIPE, loss=Weighted(1.0))
    assert repr(other) == repr(RECIPE)
    further = [dataclasses.replace(RECIPE, start=start) for start in (RECIPE, other)]
    another = dataclasses.replace(RECIPE, loss=Weighted(2.0))
    assert len({each.digest for each in (RECIPE, other, another, *further)}) == 5


@pytest.mark.full
def test_a_recipe_may_start_from_what_another_trained(calls, tmp_path):
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    frozen = dataclasses.replace(RECIPE.training, frozen=("backbone", "head"))
    second = runner.make(dataclasses.replace(RECIPE, training=frozen, start=RECIPE), 0)
    assert calls["train"] == 2
    first = runner.make(RECIPE, 0)  # found again
    assert calls["train"] == 2
    np.testing.assert_array_equal(second.head.projection[...], first.head.projection[...])
    assert np.abs(second.loss.label[...] - first.loss.label[...]).max() > 0


@pytest.mark.full
def test_rows_of_a_seed_are_judged_on_the_same_videos(calls, tmp_path):
    real = [sequence(3)]
    runner = TableRunner("smoke", tmp_path, real=real, backbone=Tiny(), judged_on="both")
    tracker = runner_lib.TRACKERS["dimp"].create("none", CONFIG, Tiny())
    measured = runner.judge(tracker, "none", VIDEOS, 0)
    runner.judge(tracker, "none", VIDEOS, 0)
    assert len(calls["render"]) == 1
    expected = auc(tracker, sequence(3))
    assert measured.scores["auc"] == measured.scores["real_auc"] == expected
    assert measured.targets["auc"] == {"0": expected}
    assert measured.targets["real_auc"] == {sequence(3).name: expected} and measured.trained
    runner.judge(tracker, "none", VIDEOS, 1)
    assert len(set(calls["render"])) == 2


@pytest.mark.parametrize(
    ("judged_on", "renderings", "prefixes"),
    [
        ("real", 0, {"real_"}),
        ("rendered", 1, {""}),
        ("both", 1, {"", "real_"}),
    ],
)
def test_a_runner_judges_on_what_it_is_told(
    calls, tmp_path, monkeypatch, judged_on, renderings, prefixes
):
    """By a stand-in; the tests of the tables judge trackers."""
    monkeypatch.setattr(tracking_tasks, "OnlineTracker", lambda *_: Follower())
    runner = TableRunner(
        "smoke", tmp_path, real=[sequence(3)], backbone=Tiny(), judged_on=judged_on
    )
    scores = runner.judge(None, "none", VIDEOS, 0).scores
    assert len(calls["render"]) == renderings
    assert {name.removesuffix("auc") for name in scores if name.endswith("auc")} == prefixes


def test_a_tracker_that_no_seed_trained_starts_a_real_sequence_elsewhere_with_every_seed(
    calls, tmp_path, monkeypatch
):
    images, boxes = video(3)
    of = lambda name: Sequence(name=name, frames=tuple(images) * 14, boxes=np.tile(boxes, (14, 1)))
    long = [of("real"), of("learned")]
    starts = [table_runner._start(long[0], seed) for seed in range(20)]
    lengths = [len(sequence) for sequence in starts]
    # 42 frames, of which 23 are followed by enough.
    assert lengths[:3] == [42, 34, 26] and len({each.name for each in starts}) == 20
    runner = TableRunner(
        "smoke", tmp_path, real=long, backbone=Tiny(), seen={"learned"}, judged_on="real"
    )
    seen = []
    see = lambda tracker, rule, parts: seen.append({each.name: len(each) for each in parts}) or []
    monkeypatch.setattr(table_runner, "of_results", lambda *_: None)
    for weights in ("trained", "untrained", "shipped"):
        runner.judge(None, "none", VIDEOS, 1, weights, evaluate=see)
    assert seen == [{"real": 42, "learned": 42}, {"real": 34, "learned": 34}, {"real": 34}]
    monkeypatch.setitem(table_runner.REAL_FRAMES, "smoke", 25)
    runner.judge(None, "none", VIDEOS, 1, evaluate=see)
    assert seen[-1] == {"real": 25, "learned": 25}
    with pytest.raises(InputError, match="20 starts"):
        runner.judge(None, "none", VIDEOS, 20, "shipped", evaluate=see)


@pytest.mark.full
def test_the_shipped_tracker_is_that_of_load_but_for_what_validation_chose(tmp_path):
    tracker, loaded = TableRunner("smoke", tmp_path).shipped("dimp"), tracking_tasks.load("dimp")
    assert tracker.config == DiMPConfig() != loaded.tracker.config
    assert tracker.refiner.config == IoUConfig()
    shipped, loaded = named_leaves(tracker), named_leaves(loaded.tracker)
    assert shipped.keys() == loaded.keys()
    assert all((shipped[name] == leaf).all() for name, leaf in loaded.items())


def test_a_rule_with_shipped_weights_of_its_own_has_them(tmp_path):
    runner = TableRunner("smoke", tmp_path)
    adam, learned = (runner.shipped("dslt", rule) for rule in ("adam", "steepest_descent"))
    assert jnp.abs(adam.initial.filters).max() == 0 < jnp.abs(learned.initial.filters).max()
    assert runner.shipped("roam", "gradient_descent").optimizer.hyperparams["learning_rate"] > 0.3
    assert tracking_tasks.shipped_weights("dslt", "gru") == tracking_tasks.shipped_weights("dslt")
