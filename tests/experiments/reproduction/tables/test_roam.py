"""ROAM's figures on an untrained tracker of a tiny backbone: every row measures what it says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta_training import runner as runner_lib
from experiments.reproduction.oracle import Oracle
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import roam
from tests.experiments.reproduction.judging import sequence
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL, episode
from tracking_tasks import evaluation
from tracking_tasks.trackers.roam.tracker import ROAM

TABLES = {table.name: table for table in roam.TABLES}


@pytest.fixture
def runner(monkeypatch, tmp_path):
    """A runner that trains nothing, with the other tests' video and episode."""
    recipes = []

    def train(self, recipe, seed):
        recipes.append(recipe)
        return tracker(recipe.rule)

    episodes = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), episode("roam", queries=4))
    monkeypatch.setattr(TableRunner, "make", train)
    monkeypatch.setattr(runner_lib, "rendered_sequences", lambda *_: [sequence()])
    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    monkeypatch.setattr(runner_lib.training, "rendered_once", lambda *_: lambda index: episodes)
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    runner.recipes = recipes
    return runner


@functools.cache
def tracker(rule):
    return ROAM.create(rule, SMALL["roam"], Tiny())


def measure(runner, table, row):
    chosen = next(each for each in TABLES[table].rows if each.name == row)
    return TABLES[table].measure(runner, chosen, 0)


def test_rows_differ_by_rule_by_scaling_and_by_nothing_else(runner):
    recipes = {}
    for row in (*TABLES["roam_modules"].rows, *TABLES["roam_cells"].rows):
        roam._train(runner, row.setting, 0)
        recipes[row.name] = runner.recipes[-1]
    assert recipes["SGD"] == recipes["SGD-Oracle"] == recipes["ROAM"] == recipes["ROAM-Oracle"]
    assert recipes["ROAM-w/o RFS"].config.scaling == (0.0, 0.0) != recipes["ROAM"].config.scaling
    rules = [recipes[name].rule for name in ("ROAM", "ROAM-GRU", "ROAM-FC", "ROAM-ConstLR")]
    assert rules == ["lstm", "gru", "mlp", "learned_rates"]


def test_sgd_takes_the_first_step_as_roam_does_and_later_ones_at_one_rate():
    rates = roam.with_sgd(tracker("lstm"), 0.25).optimizer.rates
    for rate, first in zip(
        jax.tree.leaves(rates),
        jax.tree.leaves(tracker("lstm").optimizer.initial_rates),
        strict=True,
    ):
        np.testing.assert_array_equal(rate[0], jnp.broadcast_to(first, rate.shape[1:]))
        assert (rate[1] == 0.25).all()


@pytest.mark.full
def test_an_oracle_learns_from_what_it_is_told():
    """Told a wrong place, it goes astray; told the true one, it follows."""
    followed = evaluation.evaluate(Oracle(tracker("lstm"), sequence().boxes), [sequence()])[0]
    assert evaluation.overlap(followed.boxes, sequence().boxes).min() > 0.4
    wrong = sequence().boxes + np.float32([40, 40, 0, 0])
    astray = Oracle(tracker("lstm"), wrong)
    astray.init(sequence().frames[0], sequence().boxes[0])
    for image in sequence().frames[1:3]:
        astray.update(image)
    samples = astray.state.memory.samples["boxes"][: int(astray.state.memory.stored)]
    middle = samples[:, :2] + samples[:, 2:] / 2
    np.testing.assert_allclose(middle, middle[:1].repeat(len(middle), 0), atol=1e-4)


@pytest.mark.full
def test_figures_have_their_curves(runner):
    steps = measure(runner, "roam_steps", "ROAM")
    assert steps.curves["auc_by_steps"][0] == [1.0, 2.0]
    assert steps.curves["auc_by_steps"][1][1] == steps.scores["auc"]
    losses = measure(runner, "roam_losses", "ROAM")
    updates = 2 * SMALL["roam"].blocks
    assert all(len(losses.curves[name][1]) == updates for name in ("update_loss", "outer_loss"))
    assert len(losses.targets["outer_loss"]) == 2  # clips
    assert np.mean(losses.curves["outer_loss"][1]) == pytest.approx(losses.scores["outer_loss"])
    rates = measure(runner, "roam_rates", "ROAM")
    for name in ("initial_rates", "offline_rates", "later_rates"):
        edges, shares = rates.curves[name]
        assert len(edges) == len(shares) + 1 and sum(shares) == pytest.approx(1)
    (edges, initial), rate = rates.curves["initial_rates"], np.log10(SMALL["roam"].initial_lr)
    assert initial[np.searchsorted(edges, rate) - 1] == pytest.approx(1)  # untrained: all alike


def test_an_update_that_diverged_has_no_rates():
    assert roam._finite([np.array([0.1, np.nan]), np.array([np.inf, 0.2])]).tolist() == [0.1, 0.2]
