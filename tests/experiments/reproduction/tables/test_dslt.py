"""DSLT's tables on a tiny backbone and a drawn video: what they measure is what happened."""

import math

import numpy as np
import pytest

from basics.errors import InputError
from experiments.meta_training import runner as runner_lib
from experiments.reproduction.earlier_levels import Levels34, Levels35
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import load_tables
from tests.experiments.reproduction.judging import auc, sequence
from tests.products import chosen
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks.trackers.dslt.config import DSLTConfig

TABLES = load_tables()


@pytest.fixture
def runner(monkeypatch, tmp_path):
    def rendered(key, bank, config, count, frames):
        return [sequence(frames)] * count

    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    monkeypatch.setattr(runner_lib, "rendered_sequences", rendered)
    return TableRunner("smoke", tmp_path, backbone=Tiny())


def row(table, setting):
    return next(row for row in table.rows if row.setting == setting)


@pytest.mark.full
def test_iterations_and_the_training_loss_are_those_of_the_fit(runner):
    table = TABLES["dslt_convergence"]
    found = table.measure(runner, row(table, "shrinkage"), 0)
    assert 0 < found.scores["init_steps"] <= DSLTConfig.init_steps
    assert found.targets["init_steps"] == {"0": found.scores["init_steps"]} and not found.trained
    assert 0 <= found.scores["update_steps"] <= DSLTConfig.update_steps
    iterations, losses = found.curves["training_loss"]
    assert iterations == list(range(DSLTConfig.init_steps + 1))
    assert losses[0] == pytest.approx(1) and losses[-1] < 0.5 and np.isfinite(losses).all()


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "setting"),
    chosen([("dslt_losses", "shrinkage"), ("dslt_layers", "coarse")], [("dslt_layers", "coarse")]),
)
def test_rows_are_judged(runner, name, setting):
    table, judged, judge = TABLES[name], [], runner.judge
    runner.judge = lambda *arguments: judged.append(arguments) or judge(*arguments)
    scores = table.measure(runner, row(table, setting), 0).scores
    ((tracker, _, videos, _, weights),) = judged
    assert weights == "untrained"
    assert scores["auc"] == auc(tracker, sequence(videos.frames))
    assert all(map(math.isfinite, scores.values()))


@pytest.mark.parametrize(
    ("name", "field"), [("dslt_losses", "regression"), ("dslt_layers", "fusion")]
)
def test_every_row_is_a_tracker_of_its_own(runner, name, field):
    judged, table = [], TABLES[name]
    runner.judge = lambda tracker, *_: judged.append(getattr(tracker.config, field)) or {}
    rows = [one for one in table.rows if not one.name.startswith("DSLT_3")]
    for one in rows:
        table.measure(runner, one, 0)
    assert len(set(judged)) == len(rows)
    assert judged[0] == getattr(DSLTConfig(), field)  # the paper's is the first


@pytest.mark.parametrize(("setting", "levels"), [("34", Levels34), ("35", Levels35)])
def test_rows_of_other_levels_are_the_paper_s_tracker_on_those(runner, setting, levels):
    with pytest.raises(InputError, match="efficientnet_lite0"):
        TABLES["dslt_layers"].measure(runner, row(TABLES["dslt_layers"], setting), 0)
    runner.backbone, judged = None, []
    runner.judge = lambda tracker, *_: judged.append(tracker)
    TABLES["dslt_layers"].measure(runner, row(TABLES["dslt_layers"], setting), 0)
    assert isinstance(judged[0].backbone, levels) and judged[0].config.fusion == "residual"
    assert judged[0].initial.fine.shape[0] == 24


def test_shapes_are_those_of_the_losses(runner):
    table = TABLES["dslt_shapes"]
    found = {one.name: table.measure(runner, one, 0) for one in table.rows}
    assert found["L2"].scores == {"easy": 1.0, "hard": 1.0}
    assert found["L3 (focal)"].scores == pytest.approx({"easy": 0.1, "hard": 0.9})
    shrunk = found["shrinkage, a = 10, c = 0.2"].scores
    sigmoid = lambda x: 1 / (1 + math.exp(-x))
    assert shrunk == pytest.approx({"easy": sigmoid(-1), "hard": sigmoid(7)})
    errors, losses = found["L2"].curves["loss"]
    np.testing.assert_allclose(losses, np.square(errors), rtol=1e-6)


@pytest.mark.full
def test_a_learned_rule_is_trained_and_timed_beside_adam(runner, monkeypatch):
    table, trained = TABLES["dslt_rules"], []

    def train(recipe, seed):
        trained.append(recipe.rule)
        return runner.untrained(recipe.tracker, recipe.rule, recipe.config)

    monkeypatch.setattr(runner, "make", train)
    adam, learned = (
        table.measure(runner, row(table, rule), 0).scores for rule in ("adam", "steepest_descent")
    )
    assert trained == ["steepest_descent"]
    assert learned["fit_steps"] == DSLTConfig.train_steps <= 5 < adam["fit_steps"]
    for scores in (adam, learned):
        assert 0 < scores["fit_ms"] < 60e3
        assert scores["update_ms"] * scores["fps"] == pytest.approx(1e3)
