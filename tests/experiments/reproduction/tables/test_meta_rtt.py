"""MetaRTT's tables on an untrained tracker of a tiny backbone: every row measures what it says."""

import functools

import numpy as np
import pytest

from experiments.meta_training import runner as runner_lib
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import meta_rtt
from experiments.reproduction.tables.meta_rtt_losses import DomainLoss, PruningLoss
from tests.experiments.reproduction.judging import auc, sequence
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

ROWS = {row.name: row for table in meta_rtt.TABLES for row in table.rows}


@functools.cache
def tracker():
    return MetaRTT.create("learned_rates", SMALL["meta_rtt"], Tiny())


@pytest.fixture
def runner(monkeypatch, tmp_path):
    """A runner that trains nothing, with the other tests' video."""
    recipes = []

    def train(self, recipe, seed):
        recipes.append(recipe)
        return tracker()

    monkeypatch.setattr(TableRunner, "make", train)
    monkeypatch.setattr(runner_lib, "rendered_sequences", lambda *_: [sequence(4)])
    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    runner = TableRunner("smoke", tmp_path, backbone=Tiny())
    runner.recipes = recipes
    return runner


def test_rows_differ_in_what_their_names_say(runner):
    trained, online = {}, {}
    for name, row in ROWS.items():
        online[name] = meta_rtt._train(runner, row.setting, 0)
        trained[name] = runner.recipes[-1]
    episodes = {recipe.training.episode for recipe in trained.values()}
    assert len(episodes) == 1
    ours = trained["MetaRTT"].config

    def changed(name):
        values = vars(trained[name].config).items()
        return {key: value for key, value in values if getattr(ours, key) != value}

    assert changed("w/o estimated target") == {"simulation": "true"}
    assert changed("w/o hard instances") == {"hard_videos": 0}
    assert changed("scalar rate") == {"granularity": "scalar", "rate_sets": "fit"}
    assert changed("rate per parameter") == {"granularity": "parameter"}
    assert changed("Meta-Tracker") == {"simulation": "none", "hard_videos": 0}
    assert changed("Meta-Tracker, hard instances") == {"simulation": "none"}
    assert changed("RT-MDNet") == changed("RT-MDNet 5/15") == {}
    assert changed("MetaRTT+Prune") == changed("No meta-learning") == {"kept": 0.5}
    assert changed("No adaptive pruning") == {"kept": 0.5, "adaptive_masks": False}
    losses = {name: recipe.loss for name, recipe in trained.items()}
    assert losses["RT-MDNet"] == losses["RT-MDNet 5/15"] == DomainLoss()
    assert losses["MetaRTT+Prune"] == losses["No adaptive pruning"] == PruningLoss()
    assert losses["No meta-learning"] == PruningLoss(whole_episode=False)
    assert losses["MetaRTT"] is losses["Meta-Tracker"] is losses["scalar rate"] is None
    assert trained["MetaRTT+Prune"].start == trained["MetaRTT"]
    for name, steps in {
        "RT-MDNet": (50, 15),
        "RT-MDNet 5/15": (5, 15),
        "MetaRTT 50/5": (50, 5),
        "Meta-Tracker": (5, 15),
        "MetaRTT 5/5": (SMALL["meta_rtt"].train_steps, SMALL["meta_rtt"].online_steps),
    }.items():
        config = online[name].config
        assert (config.train_steps, config.online_steps) == steps


def test_gradient_descent_takes_the_place_of_the_learned_rates(runner):
    def rates(name):
        made = meta_rtt._train(runner, ROWS[name].setting, 0)
        return [
            float(rule.hyperparams["learning_rate"]) if hasattr(rule, "hyperparams") else None
            for rule in (made.optimizer, made.online_optimizer)
        ]

    sgd = meta_rtt._Sgd()
    assert rates("RT-MDNet") == [np.float32(sgd.rate), np.float32(sgd.online_rate)]
    assert rates("Meta-Tracker") == [None, np.float32(sgd.online_rate)]
    assert rates("MetaRTT") == [None, None]


@pytest.mark.full
def test_a_row_is_judged_on_videos(runner):
    row = ROWS["RT-MDNet 5/5"]
    scores = meta_rtt._measure(runner, row, 0).scores
    assert scores["auc"] == auc(meta_rtt._train(runner, row.setting, 0), sequence(4))
    assert scores["fps"] > 0
