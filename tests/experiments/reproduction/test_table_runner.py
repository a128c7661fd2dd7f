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
from tests.experiments.reproduction.judging import auc, sequence
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.tiny import CONFIG, Tiny
from tests.tracking_tasks.trackers.dimp.episodes import batches
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.data.sequences import Sequence

RECIPE = Recipe("dimp", "steepest_descent", CONFIG, training.TrainingConfig(outer_steps=2))
VIDEOS = Videos(RendererConfig(), 1, 3)


@pytest.fixture
def calls(monkeypatch):
    """Counts trainings and renderings, which use the other tests' episode and video."""
    counts = {"train": 0, "render": []}
    train = training.train

    def counted(*arguments, **options):
        counts["train"] += 1
        return train(*arguments, **options)

    def rendered(key, bank, config, count, frames):
        counts["render"].append(tuple(jax.random.key_data(key).tolist()))
        return [sequence(frames)]

    monkeypatch.setattr(training, "train", counted)
    monkeypatch.setattr(training, "rendered_once", lambda bank, config: batches)
    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    monkeypatch.setattr(runner_lib, "rendered_sequences", rendered)
    return counts


def test_a_recipe_is_trained_once_a_seed_and_found_again(calls, tmp_path):
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    first, again = runner.make(RECIPE, 0), runner.make(RECIPE, 0)
    assert calls["train"] == 1
    for name, leaf in named_leaves(first).items():
        np.testing.assert_array_equal(leaf, named_leaves(again)[name])
    runner.make(RECIPE, 1)
    frozen = dataclasses.replace(RECIPE.training, frozen=("backbone", "head"))
    kept = runner.make(dataclasses.replace(RECIPE, training=frozen), 0)
    assert calls["train"] == 3
    np.testing.assert_array_equal(kept.head.projection[...], np.eye(10))

    TableRunner("smoke", tmp_path, backbone=Tiny(), resume=True).make(RECIPE, 0)
    assert calls["train"] == 3
    TableRunner("smoke", tmp_path, backbone=Tiny()).make(RECIPE, 0)
    assert calls["train"] == 4


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


def test_a_recipe_may_start_from_what_another_trained(calls, tmp_path):
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    frozen = dataclasses.replace(RECIPE.training, frozen=("backbone", "head"))
    second = runner.make(dataclasses.replace(RECIPE, training=frozen, start=RECIPE), 0)
    assert calls["train"] == 2
    first = runner.make(RECIPE, 0)  # found again
    assert calls["train"] == 2
    np.testing.assert_array_equal(second.head.projection[...], first.head.projection[...])
    assert np.abs(second.loss.label[...] - first.loss.label[...]).max() > 0


def test_rows_of_a_seed_are_judged_on_the_same_videos(calls, tmp_path):
    runner = TableRunner("smoke", tmp_path, real=[sequence(3)], backbone=Tiny())
    tracker = runner_lib.TRACKERS["dimp"].create("none", CONFIG, Tiny())
    scores = runner.judge(tracker, "none", VIDEOS, 0)
    runner.judge(tracker, "none", VIDEOS, 0)
    assert len(calls["render"]) == 1
    assert scores["auc"] == scores["real_auc"] == auc(tracker, sequence(3))
    runner.judge(tracker, "none", VIDEOS, 1)
    assert len(set(calls["render"])) == 2


def test_a_shipped_tracker_starts_a_real_sequence_elsewhere_with_every_seed(
    calls, tmp_path, monkeypatch
):
    images, boxes = video(3)
    long = [Sequence(name="real", frames=tuple(images) * 14, boxes=np.tile(boxes, (14, 1)))]
    starts = [table_runner._start(long[0], seed) for seed in range(20)]
    lengths = [len(sequence) for sequence in starts]
    # 42 frames, of which 23 are followed by enough.
    assert lengths[:3] == [42, 34, 26] and len({each.name for each in starts}) == 20
    runner = TableRunner("smoke", tmp_path, real=long, backbone=Tiny())
    tracker = runner_lib.TRACKERS["dimp"].create("none", CONFIG, Tiny())
    seen = []
    monkeypatch.setattr(
        runner_lib.evaluation, "evaluate", lambda tracker, sequences: seen.append(sequences)
    )
    monkeypatch.setattr(table_runner.evaluation, "summarize", lambda results: {})
    for shipped in (False, True):
        runner.judge(tracker, "none", VIDEOS, 1, shipped=shipped)
    assert [len(sequence) for (sequence,) in seen] == [3, 42, 3, 34]  # rendered, real
    with pytest.raises(InputError, match="20 starts"):
        runner.judge(tracker, "none", VIDEOS, 20, shipped=True)


def test_the_shipped_tracker_is_that_of_load(tmp_path):
    shipped = named_leaves(TableRunner("smoke", tmp_path).shipped("dimp"))
    loaded = named_leaves(tracking_tasks.load("dimp").tracker)
    assert shipped.keys() == loaded.keys()
    assert all((shipped[name] == leaf).all() for name, leaf in loaded.items())


def test_a_rule_with_shipped_weights_of_its_own_has_them(tmp_path):
    runner = TableRunner("smoke", tmp_path)
    adam, learned = (runner.shipped("dslt", rule) for rule in ("adam", "steepest_descent"))
    assert jnp.abs(adam.initial.filters).max() == 0 < jnp.abs(learned.initial.filters).max()
    assert runner.shipped("roam", "gradient_descent").optimizer.hyperparams["learning_rate"] > 0.3
    assert tracking_tasks.shipped_weights("dslt", "gru") == tracking_tasks.shipped_weights("dslt")
