"""The end of every tracker's step: whether its target is there."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers.small import make
from tracking_tasks.episode import Prediction
from tracking_tasks.online import OnlineTracker
from tracking_tasks.trackers import TRACKERS
from tracking_tasks.trackers.soundness import contrast

IMAGES, BOXES = video(3)
MOVED = Prediction(jnp.array([80.0, 90.0, 30.0, 20.0]), jnp.array(0.97))


@functools.cache
def started():
    tracker = make("gradnet", "none", stand_in=True)
    return tracker, jax.jit(tracker.init)(frame(IMAGES[0]), jnp.asarray(BOXES[0]))


def judged(images, score):
    tracker, before = started()
    after = before.replace(center=MOVED.box[:2] + MOVED.box[2:] / 2, size=MOVED.box[2:])
    prediction = MOVED._replace(score=jnp.asarray(score))
    return jax.jit(tracker.judged)(before, contrast(images), after, prediction)


def noise(deviation):
    random = np.random.default_rng(0)
    return jnp.asarray(90 + deviation * random.normal(size=(3, 64, 64, 3)), jnp.float32)


def test_contrast_is_the_largest_deviation_of_a_colour():
    images = np.random.default_rng(1).normal(200, [[1, 2, 3], [4, 9, 5]], (8, 8, 2, 3))
    images = np.float32(images.transpose(2, 0, 1, 3))
    expected = images.astype(float).std((1, 2)).max()
    np.testing.assert_allclose(contrast(jnp.asarray(images)), expected, rtol=1e-5)
    assert contrast(jnp.full((1, 5, 5, 3), 255.0)) == 0


def test_in_a_picture_of_one_colour_the_target_stays_unseen():
    state, prediction = judged(noise(0.5), 0.97)
    np.testing.assert_allclose(prediction.box, BOXES[0])
    np.testing.assert_allclose(state.center, BOXES[0, :2] + 12)
    np.testing.assert_allclose(state.size, [24, 24])
    assert (float(prediction.score), bool(prediction.present)) == (0.0, False)


@pytest.mark.parametrize(("above", "present"), [(0.001, True), (-0.001, False)])
def test_the_score_says_whether_the_target_is_there(above, present):
    tracker, _ = started()
    score = tracker.config.present_score + above
    state, prediction = judged(noise(5.0), score)
    np.testing.assert_array_equal(prediction.box, MOVED.box)
    np.testing.assert_array_equal(state.size, [30, 20])
    assert float(prediction.score) == pytest.approx(score)
    assert bool(prediction.present) == present


def test_a_black_frame_moves_no_target():
    tracker = OnlineTracker(started()[0], "none")
    tracker.init(IMAGES[0], BOXES[0])
    before = tracker.update(IMAGES[1])
    black = tracker.update(np.zeros_like(IMAGES[0]))
    np.testing.assert_allclose(black.box, before.box, atol=1e-4)
    assert (black.score, black.present) == (0.0, False)


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_every_tracker_has_both_scores_in_their_order(name):
    config = TRACKERS[name].config_type()
    assert 0 < config.present_score < config.found_again_score < 1
