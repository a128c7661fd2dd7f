"""The program that judges predicted overlaps: its numbers on predictions that are known."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import overlap_quality
from models import IoUPredictor, Modulation
from tests.experiments import programs
from tests.tracking_tasks.tiny import CONFIG, Tiny, make
from tests.tracking_tasks.trackers.dimp.episodes import small_episode
from tracking_tasks import boxes
from tracking_tasks.trackers.dimp.tracker import DiMP

TRUTH = jnp.array([20.0, 22.0, 24.0, 20.0])


class Oracle(IoUPredictor):
    """Knows the target, which it finds at one place in all frames."""

    def __init__(self):
        pass

    def modulation(self, reference, box):
        return Modulation(jnp.zeros(1), jnp.zeros(1))

    def query(self, features, modulation):
        return features.fine[..., :1], features.coarse[..., :1]

    def __call__(self, maps, box):
        return 2 * boxes.overlap(box, TRUTH) - 1


def test_an_oracle_correlates_perfectly_and_its_search_ends_on_the_target():
    config = dataclasses.replace(CONFIG, box_estimation="overlap")
    tracker = DiMP.blank("steepest_descent", config, Tiny())
    tracker = tracker.replace(refiner=tracker.refiner.replace(predictor=Oracle()))
    small = small_episode()
    episode = small.replace(
        query_boxes=jnp.tile(TRUTH, (2, 1)), query_weights=jnp.array([1.0, 0.0])
    )
    judged = overlap_quality.judge(tracker, episode)
    np.testing.assert_array_equal(judged.seen, [1.0, 0.0])
    scores = overlap_quality.summarize(judged)
    assert scores["correlation"] == pytest.approx(1.0, abs=1e-4)
    assert scores["correlation_in_a_frame"] == pytest.approx(1.0, abs=1e-4)
    assert 0.5 < scores["overlap_before"] < scores["overlap_after"]
    assert scores["improved"] == 1.0


def test_scores_of_known_numbers_leave_out_what_is_not_seen():
    ramp, wrong = np.linspace(0, 1, 5), np.linspace(1, 0, 5)
    judged = overlap_quality.Judged(
        np.array([1.0, 1.0, 0.0]), np.stack([ramp, 0.5 * wrong, wrong]), np.stack([ramp] * 3),
        np.array([0.7, 0.8, 0.0]), np.array([0.9, 0.7, 1.0]),
    )  # fmt: skip
    scores = overlap_quality.summarize(judged)
    assert scores["correlation_in_a_frame"] == pytest.approx(0.0, abs=1e-9)
    # Sums over the pooled ten: covariance 0.625 - 0.3125, variances 1.25 and 0.78125 + 0.15625.
    assert scores["correlation"] == pytest.approx(0.3125 / (1.25 * 0.9375) ** 0.5)
    assert scores["overlap_before"] == pytest.approx(0.75)
    assert scores["overlap_after"] == pytest.approx(0.8)
    assert scores["improved"] == 0.5


def test_a_tracker_without_a_predictor_is_turned_down_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr(overlap_quality.tracker_flags.LoadedTracker, "load", lambda self: _Loaded())
    assert programs.run(overlap_quality) == 1
    assert "predicts no overlap" in programs.error_line(capsys)


class _Loaded:
    tracker = make()


def test_bad_input_is_one_line(capsys):
    assert programs.run(overlap_quality, "--checkpoint=absent") == 1
    assert "absent" in programs.error_line(capsys)
