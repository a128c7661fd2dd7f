"""The tables of shipped trackers: which constants and rules their rows judge, on which videos."""

import dataclasses

import jax.numpy as jnp
import pytest

import metaopt
from experiments.meta_training import runner as runner_lib
from experiments.reproduction.measurement import Measurement
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables.shipped import TABLES
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks.trackers import TRACKERS


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """By table and row: the tracker, the rule that it is named after, and the videos."""
    monkeypatch.setattr(runner_lib, "load_bank", lambda folder, split: None)
    untrained = lambda runner, name, rule=None: TRACKERS[name].create(rule, None, Tiny())
    monkeypatch.setattr(TableRunner, "shipped", untrained)

    def judge(runner, *arguments):
        assert arguments[-1] == "shipped"  # real sequences start elsewhere with every seed
        return Measurement({"arguments": arguments[:3]})

    monkeypatch.setattr(TableRunner, "judge", judge)
    runner = TableRunner("smoke", tmp_path)
    return {
        table.name: {
            row.name: table.measure(runner, row, 0).scores["arguments"] for row in table.rows
        }
        for table in TABLES
    }


def test_rows_of_a_table_are_judged_on_the_same_videos(judged):
    for rows in judged.values():
        assert len({videos for _, _, videos in rows.values()}) == 1
    videos = next(iter(judged["occlusion"].values()))[2]
    assert videos.renderer.occluder == 1.0


def test_gradnet_stands_beside_its_baseline(judged):
    assert [rule for _, rule, _ in judged["gradnet_shipped"].values()] == [
        "gradient_network", "none",
    ]  # fmt: skip


def test_a_tracker_that_waits_is_the_shipped_one_and_the_other_differs_by_its_thresholds(judged):
    rows = judged["occlusion"]
    changed = {
        "DSLT": {"update_threshold"},
        "ROAM": {"lost_threshold"},
        "MetaRTT": {"lost_threshold", "update_threshold"},
    }
    for name, fields in changed.items():
        waiting, published = (
            dataclasses.asdict(rows[f"{name}, {kind}"][0].config)
            for kind in ("waiting", "as published")
        )
        assert waiting == dataclasses.asdict(type(rows[f"{name}, waiting"][0].config)())
        assert {field for field in waiting if waiting[field] != published[field]} == fields
        assert all(published[field] < waiting[field] for field in fields)


def test_roam_s_rows_differ_by_search_and_by_rule(judged):
    rows = [tracker for tracker, _, _ in judged["roam_shipped"].values()]
    searches = [each.config.search.boxes for each in rows]
    assert searches == ["regression"] * 3 + ["scales"] * 3
    rules = metaopt.CoordinatewiseRNN, metaopt.LearnedRates, metaopt.GradientDescent
    assert [type(each.optimizer) for each in rows] == [*rules, *rules]
    rates = rows[1].optimizer.rates.response.filters
    assert jnp.all(rates[1] == jnp.float32(0.2))
