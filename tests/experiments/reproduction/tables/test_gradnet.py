"""GradNet's tables on an untrained tracker of a tiny backbone: every row measures what it says."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta_training import runner as runner_lib
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import gradnet, load_tables
from tests.experiments.reproduction.judging import auc, sequence
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import episode
from tracking_tasks.trackers.gradnet.tracker import GradNet

TABLES = {table.name: table for table in gradnet.TABLES}


@functools.cache
def tracker(rule, config):
    return GradNet.create(rule, config, Tiny())


@pytest.fixture
def runner(monkeypatch, tmp_path):
    """A runner that trains nothing, with the other tests' video and episode."""
    recipes = []

    def train(self, recipe, seed):
        recipes.append(recipe)
        return tracker(recipe.rule, recipe.config)

    cut = lambda leaf: leaf[:, 16:-16, 16:-16] if leaf.ndim == 4 else leaf
    one = jax.tree.map(cut, episode("gradnet"))
    shift = jnp.array([16.0, 16, 0, 0])
    one = one.replace(support_boxes=one.support_boxes - shift, query_boxes=one.query_boxes - shift)
    other = one.replace(query_images=one.query_images[:, ::-1])
    episodes = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, other)
    monkeypatch.setattr(TableRunner, "make", train)
    monkeypatch.setattr(runner_lib, "rendered_sequences", lambda *_: [sequence()])
    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    monkeypatch.setattr(runner_lib.training, "rendered_batches", lambda *_: lambda index: episodes)
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    runner.recipes = recipes
    return runner


def row(table, name):
    return next(each for each in TABLES[table].rows if each.name == name)


def measure(runner, table, name):
    return TABLES[table].measure(runner, row(table, name), 0)


def test_rows_differ_by_what_they_leave_out(runner):
    trained, recipes = {}, {}
    for each in TABLES["gradnet3"].rows:
        trained[each.name] = gradnet.train(runner, each.setting, 0)
        recipes[each.name] = runner.recipes[-1]
    assert recipes["Ours"] == recipes["w/o U"] != recipes["w/o M"]
    assert not trained["w/o U"].config.online_update and trained["Ours"].config.online_update
    rules = [recipes[name].rule for name in ("Ours", "w/o M", "w/o MG", "baseline")]
    assert rules == ["gradient_network", "gradient_network", "none", "none"]
    assert [recipe.config.generalization for recipe in recipes.values()] == [4, 1, 1, 4, 4, 1]
    assert trained["w 2U"].after is not None and trained["Ours"].after is None
    assert recipes["baseline"].training.frozen == ("backbone", "embedding.deeper")


def test_a_row_is_judged(runner):
    scores = measure(runner, "gradnet3", "Ours").scores
    (recipe,) = runner.recipes
    assert scores["auc"] == auc(tracker(recipe.rule, recipe.config), sequence())
    assert scores["fps"] > 0


@pytest.mark.full
def test_iterations_end_at_half_the_loss_or_at_the_most(runner, monkeypatch):
    found = measure(runner, "gradnet1", "1x").scores["iterations"]
    assert 0 < found < 5
    monkeypatch.setattr(gradnet, "_BASIC_RATE", 0.0)
    assert measure(runner, "gradnet1", "3x").scores == {"iterations": 5.0}
    monkeypatch.setattr(gradnet, "_CONVERGED", 1.0)
    gradnet._iterations.clear_cache()
    assert measure(runner, "gradnet1", "3x").scores == {"iterations": 0.0}
    gradnet._iterations.clear_cache()


def test_the_ratio_is_the_gradients_share_of_each_coordinate(runner):
    found = measure(runner, "gradnet_ratio", "Ours")
    edges, shares = found.curves["gradient_share"]
    assert len(edges) == len(shares) + 1 and sum(shares) == pytest.approx(1)
    middle = (np.array(edges[1:]) + edges[:-1]) / 2
    assert found.scores["ratio"] == pytest.approx(middle @ shares, abs=0.05)
    still = tracker("none", runner.recipes[-1].config)
    ratios = gradnet._ratios(still, gradnet._held_out(runner, still))
    np.testing.assert_array_equal(ratios, 0)


@pytest.mark.full
def test_maps_of_a_template_without_update_gain_nothing(runner):
    scores = measure(runner, "gradnet_maps", "Ours").scores
    assert scores["gain"] == pytest.approx(scores["updated"] - scores["initial"])
    assert scores["gain"] != 0 and abs(scores["initial"]) <= 1
    maps = measure(runner, "gradnet_maps", "Ours").maps
    before, after = (np.array(maps[f"{when} the update"]) for when in ("before", "after"))
    assert before.shape == after.shape and 0 <= before.min() <= after.max() <= 1
    assert np.abs(after - before).max() > 0
    still = tracker("none", runner.recipes[-1].config)
    before, after = gradnet._contrasts(still, gradnet._held_out(runner, still))
    assert before == after == pytest.approx(scores["initial"])


@pytest.mark.full
def test_overfitting_is_the_loss_held_out_less_that_in_training(runner, monkeypatch):
    table = load_tables()["gradnet_overfitting"]
    one = runner_lib.training.rendered_batches(None, None)(0)
    monkeypatch.setattr(runner, "batches", lambda config: lambda index: one)
    found = table.measure(runner, table.rows[0], 0)
    steps = [recipe.training.outer_steps for recipe in runner.recipes]
    assert steps == [1, 1, 2] and runner.recipes[0].config.generalization == 4
    losses = found.curves["training"][1]
    assert losses[0] == pytest.approx(losses[2]) and losses[0] > 0  # nothing is trained here
    assert found.scores["gap"] == pytest.approx(0)  # both are the same episodes
    untrained = tracker("gradient_network", runner.recipes[-1].config)
    alone = untrained.replace(config=dataclasses.replace(untrained.config, generalization=1))
    of = lambda index: jax.tree.map(lambda leaf: leaf[index], one)
    expected = np.mean([alone.outer_loss(of(index))[0] for index in (0, 1)])
    assert losses[0] == pytest.approx(expected, rel=1e-4)
