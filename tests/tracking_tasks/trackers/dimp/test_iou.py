"""Overlap maximization: ascent on overlaps that are known, proposals, and guards."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models import Features, IoUPredictor, Modulation
from tracking_tasks import boxes, evaluation
from tracking_tasks.trackers.dimp import refinement
from tracking_tasks.trackers.dimp.iou import IoURefiner, Reference
from tracking_tasks.trackers.dimp.refinement import IoUConfig, reframe, start_boxes

# The published code's.
CONFIG = IoUConfig(starts=10, center_jitter=0.1, size_jitter=0.5, steps=5)
TRUTH = jnp.array([50.0, 40.0, 30.0, 45.0])
KEY = jax.random.key(0)

refine = jax.jit(refinement.refine, static_argnums=(0, 3))
best_on_lines = jax.jit(refinement.best_on_lines, static_argnums=(0, 2))
proposals = jax.jit(refinement.proposals, static_argnums=2)


def quadratic(box):
    """Falls off with the square of a box's distance from TRUTH, in its sides; the maximum is 1."""
    side = jnp.concatenate([TRUTH[2:], TRUTH[2:]])
    return 1 - 0.5 * jnp.sum((box - TRUTH) ** 2 / side)


def exact(box):
    return 2 * boxes.overlap(box, TRUTH) - 1


@jax.jit
def overlap(box):
    return boxes.overlap(box, TRUTH)


def test_on_a_quadratic_each_step_halves_the_distance():
    """The gradient of a box of the true size, times its sides, is the way to TRUTH."""
    config = dataclasses.replace(CONFIG, starts=1, averaged=1, steps=3, step_length=0.5)
    start = TRUTH + jnp.array([8.0, -6.0, 0.0, 0.0])
    found = refine(quadratic, start, KEY, config)
    np.testing.assert_allclose(found.box - TRUTH, [1.0, -0.75, 0, 0], atol=1e-4)
    np.testing.assert_allclose(found.predicted, quadratic(found.box), rtol=1e-5)


@pytest.mark.parametrize("offset", [(4, 0, 0, 0), (-5, 6, 0, 0), (0, 0, 12, 8), (5, 5, -9, -12)])
def test_ascent_on_the_true_overlap_improves_it(offset):
    start = TRUTH + jnp.array(offset, jnp.float32)
    found = refine(exact, start, KEY, CONFIG)
    assert overlap(found.box) > overlap(start) + 0.5 * (1 - overlap(start))
    np.testing.assert_allclose(found.predicted, exact(found.box), atol=0.15)


def test_pure_in_its_key_and_vmapped_equals_single():
    run = lambda box, key: refine(quadratic, box, key, CONFIG)
    keys = jax.random.split(KEY, 3)
    starts = TRUTH + jnp.array([[3.0, 2.0, 1.0, -4.0], [0.0, 0.0, 0.0, 0.0], [-6.0, 1.0, 5.0, 9.0]])
    together = jax.vmap(run)(starts, keys)
    for index in range(3):
        one = run(starts[index], keys[index])
        np.testing.assert_allclose(together.box[index], one.box, rtol=1e-5)
        np.testing.assert_array_equal(one.box, run(starts[index], keys[index]).box)


@pytest.mark.parametrize("overlap_of", [lambda box: jnp.sum(box) * jnp.nan, lambda box: 9 * box[2]])
def test_what_is_not_finite_or_too_long_leaves_the_box_as_it_was(overlap_of):
    found = refine(overlap_of, TRUTH, KEY, CONFIG)
    np.testing.assert_array_equal(found.box, TRUTH)
    assert np.isfinite(found.predicted)


def test_starts_hold_the_box_itself_and_stay_near():
    starts = np.asarray(start_boxes(KEY, TRUTH, CONFIG))
    side = np.sqrt(30 * 45)
    assert starts.shape == (10, 4)
    np.testing.assert_allclose(starts[0], TRUTH, rtol=1e-6)
    moved = np.abs(np.asarray(boxes.center(starts)) - np.asarray(boxes.center(TRUTH)))
    assert 0.02 * side < moved.max() <= 0.05 * side + 1e-4
    grown = np.abs(starts[:, 2:] - np.asarray(TRUTH[2:]))
    assert 0.1 * side < grown.max() <= 0.25 * side + 1e-4
    thin = np.asarray(start_boxes(KEY, jnp.array([0.0, 0.0, 4.0, 100.0]), CONFIG))
    assert thin[:, 2:].min() >= 4 / 3 - 1e-5


def test_proposals_overlap_enough_and_cover_the_range():
    config = dataclasses.replace(CONFIG, proposals=2000)
    drawn = np.asarray(proposals(KEY, TRUTH, config))
    found = evaluation.overlap(drawn, np.tile(TRUTH, (2000, 1)))
    assert drawn.shape == (2000, 4) and found.min() >= 0.1 - 1e-6
    assert 0.65 < np.median(found) < 0.8
    assert found.min() < 0.2 and found.max() > 0.99
    small = proposals(KEY, jnp.array([0.0, 0.0, 2.0, 2.0]), config)
    assert np.isfinite(small).all() and small[:, 2:].min() >= 1.99


class Known(IoUPredictor):
    """Knows where the target is."""

    def __init__(self):
        pass

    def modulation(self, reference, box):
        return NOWHERE

    def query(self, features, modulation):
        return features.fine, features.coarse

    def __call__(self, maps, box):
        return quadratic(box)


def apart(box, start):
    """By how much a box differs from one: x and y in its sides, logarithms of area and aspect."""
    way = (boxes.center(box) - boxes.center(start)) / start[2:]
    change = jnp.log(box[2:] / start[2:])
    return jnp.array([*way, change.mean(), (change[0] - change[1]) / 2])


LINES = IoUConfig(search="lines", line=7, line_shift=0.3, line_size=0.4)


def test_lines_find_the_top_of_a_parabola():
    top = jnp.array([0.12, -0.23, 0.31, -0.17])
    found = best_on_lines(
        lambda box: 0.9 - 2 * jnp.sum((apart(box, TRUTH) - top) ** 2), TRUTH, LINES
    )
    np.testing.assert_allclose(apart(found.box, TRUTH), top, atol=1e-4)


def test_lines_go_no_further_than_they_look():
    found = best_on_lines(
        lambda box: apart(box, TRUTH) @ jnp.array([1.0, -1.0, 1.0, -0.5]), TRUTH, LINES
    )
    np.testing.assert_allclose(apart(found.box, TRUTH), [0.3, -0.3, 0.4, -0.4], atol=1e-5)


def test_what_lines_err_by_on_the_first_frame_is_taken_off():
    whole = {"center_lr": 1.0, "size_lr": 1.0, "aspect_lr": 1.0, "max_change": 2.0}
    refiner = IoURefiner(dataclasses.replace(LINES, **whole), Known())
    target = TRUTH + jnp.array([3.0, -2.0, 4.0, 5.0])
    frames = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), NOTHING)
    reference = jax.jit(refiner.reference)(frames, jnp.stack([target, target]), KEY)
    assert np.abs(np.log(reference.factor)).max() > 0.05
    again = jax.jit(refiner.estimate)(reference, NOTHING, target, KEY).box
    np.testing.assert_allclose(again, target, atol=1e-3)


NOTHING = Features(jnp.zeros((2, 2, 1)), jnp.zeros((1, 1, 1)))
NOWHERE = Modulation(jnp.zeros(1), jnp.zeros(1))


def test_the_box_follows_the_search_at_its_rates_and_changes_but_so_much():
    start = np.float32([52, 41, 28, 50])
    unbiased = Reference(NOWHERE, jnp.zeros(2), jnp.ones(2))

    def estimate(**changes):
        config = dataclasses.replace(CONFIG, starts=4, averaged=1, step_length=0.5, **changes)
        refiner = IoURefiner(config, Known())
        return np.asarray(jax.jit(refiner.estimate)(unbiased, NOTHING, start, KEY).box)

    far = estimate(center_lr=1.0, size_lr=1.0, aspect_lr=1.0)
    half = estimate(center_lr=0.5, size_lr=0.25, aspect_lr=0.25)
    way = boxes.center(far) - boxes.center(start)
    assert np.abs(way).min() > 0.1
    np.testing.assert_allclose(boxes.center(half) - boxes.center(start), way / 2, atol=1e-4)
    log_change = np.log(far[2:] / start[2:])
    assert np.abs(log_change).min() > 0.05
    np.testing.assert_allclose(np.log(half[2:] / start[2:]), log_change / 4, atol=1e-5)
    area = estimate(size_lr=1.0, aspect_lr=0.0)
    np.testing.assert_allclose(np.log(area[2:] / start[2:]), log_change.mean(), atol=1e-5)
    bound = estimate(center_lr=1.0, size_lr=1.0, aspect_lr=1.0, max_change=1.01)
    np.testing.assert_allclose(np.abs(np.log(bound[2:] / start[2:])), np.log(1.01), rtol=1e-3)


def test_what_the_search_errs_by_on_the_first_frame_is_taken_off():
    """The first frame says that the target is not where the predictor finds it."""
    whole = {"center_lr": 1.0, "size_lr": 1.0, "aspect_lr": 1.0}
    config = dataclasses.replace(CONFIG, **whole, max_change=2.0)
    refiner = IoURefiner(config, Known())
    target = TRUTH + jnp.array([3.0, -2.0, 4.0, 5.0])
    frames = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), NOTHING)
    reference = jax.jit(refiner.reference)(frames, jnp.stack([target, target]), KEY)
    found = refine(quadratic, target, KEY, config).box
    np.testing.assert_allclose(reference.factor, found[2:] / target[2:], rtol=1e-4)
    assert jnp.abs(found - target).max() > 1.0
    again = jax.jit(refiner.estimate)(reference, NOTHING, target, KEY).box
    np.testing.assert_allclose(again, target, atol=1e-3)


class Steep(Known):
    """Knows where the target is, and how steeply the overlap falls off is its parameter."""

    def __init__(self, slope):
        self.slope = nnx.Param(jnp.asarray(slope))

    def __call__(self, maps, box):
        return self.slope[...] * quadratic(box)


@functools.partial(jax.jit, static_argnames="refined_steps")
def lack(slope, **changes):
    """What the loss has more for the boxes that the ascent finds, in the frame that shows TRUTH."""
    frames = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), NOTHING)
    true_boxes = jnp.stack([TRUTH, TRUTH + 5])
    with_ascent = dataclasses.replace(
        CONFIG, reframed=0.0, refined=3, refined_weight=2.0, **changes
    )

    def loss(slope, config):
        return IoURefiner(config, Steep(slope)).loss(frames, true_boxes, jnp.array([1.0, 0.0]), KEY)

    return loss(slope, with_ascent) - loss(slope, dataclasses.replace(with_ascent, refined=0))


@pytest.mark.full
def test_training_judges_the_boxes_that_the_ascent_finds():
    boxes_key = jax.random.split(KEY, 3)[2]
    drawn = proposals(jax.random.split(boxes_key)[0], TRUTH, CONFIG)[:3]
    still = 2 * (1 - boxes.overlap(drawn, TRUTH).mean())
    assert still > 0.1
    np.testing.assert_allclose(lack(0.0), still, rtol=1e-5)
    np.testing.assert_allclose(lack(0.2, refined_steps=60), 0, atol=0.01)
    few = lambda slope: lack(slope, refined_steps=2)
    slope = jax.jit(jax.grad(few))(0.2)
    np.testing.assert_allclose(slope, (few(0.205) - few(0.195)) / 0.01, rtol=0.02)
    assert slope < -0.1


def test_a_target_is_the_same_random_part_of_the_annotated_one_in_all_frames():
    true_boxes = jnp.stack([TRUTH, jnp.array([5.0, 80.0, 60.0, 20.0])])
    np.testing.assert_allclose(reframe(KEY, true_boxes, 0.0), true_boxes, atol=1e-5)
    keys = jax.random.split(KEY, 200)
    framed = jax.jit(jax.vmap(lambda key: reframe(key, true_boxes, 0.3)))(keys)
    shift = (boxes.center(framed) - boxes.center(true_boxes)) / true_boxes[:, 2:]
    change = np.concatenate([shift, np.log(framed[..., 2:] / true_boxes[:, 2:])], -1)
    np.testing.assert_allclose(change[:, 0], change[:, 1], atol=1e-5)
    np.testing.assert_allclose(change[:, 0].min(0), -0.3, atol=0.02)
    np.testing.assert_allclose(change[:, 0].max(0), 0.3, atol=0.02)


def test_training_is_on_the_reframed_boxes():
    config = dataclasses.replace(CONFIG, reframed=0.3, refined=0)
    frames = jax.tree.map(lambda leaf: leaf[None], NOTHING)
    refiner = IoURefiner(config, Steep(0.0))
    loss = jax.jit(lambda key: refiner.loss(frames, TRUTH[None], jnp.ones(1), key))(KEY)

    @jax.jit
    def true_overlaps(key):
        framed = reframe(jax.random.fold_in(key, 3), TRUTH[None], 0.3)[0]
        boxes_key = jax.random.split(jax.random.split(key, 3)[2], 1)[0]
        return boxes.overlap(proposals(boxes_key, framed, config), framed)

    truth = 2 * true_overlaps(KEY) - 1
    np.testing.assert_allclose(loss, jnp.mean(truth**2), rtol=1e-5)


@pytest.mark.parametrize(("largest", "kept"), [(4.0, False), (6.0, True)])
def test_a_box_that_has_become_too_long_is_dropped(largest, kept):
    """The ascent makes it five times as long as wide."""
    likes = lambda box: -((jnp.log(box[2] / box[3]) - jnp.log(5.0)) ** 2)
    config = dataclasses.replace(
        CONFIG, starts=1, averaged=1, steps=100, step_length=0.2, max_aspect=largest
    )
    start = jnp.array([10.0, 10.0, 30.0, 10.0])
    found = refine(likes, start, KEY, config).box
    expected = 5.0 if kept else 3.0
    np.testing.assert_allclose(found[2] / found[3], expected, rtol=0.02)


def test_training_leaves_the_same_channels_out_of_all_frames():
    frames = Features(jnp.ones((3, 2, 2, 4000)), jnp.ones((3, 1, 1, 4000)))
    for share in (0.0, 0.25):
        refiner = IoURefiner(dataclasses.replace(CONFIG, dropout=share), Known())
        fine, coarse = (np.asarray(level) for level in refiner._drop_channels(frames, KEY))
        for level in (fine, coarse):
            np.testing.assert_array_equal(level, np.broadcast_to(level[:1, :1, :1], level.shape))
            assert set(np.unique(level)) <= {0.0, np.float32(1 / (1 - share))}
            assert np.mean(level == 0) == pytest.approx(share, abs=0.03)
        assert share == 0 or np.any(fine[0, 0, 0] != coarse[0, 0, 0])


def test_the_loss_is_on_features_with_channels_left_out():
    class Sum(Known):
        """Predicts the sum of the first frame's features."""

        def query(self, features, modulation):
            return features.fine, features.coarse

        def __call__(self, maps, box):
            return maps[0].sum()

    frames = Features(jnp.full((1, 1, 1, 4000), 1 / 4000), jnp.zeros((1, 1, 1, 4000)))
    refiners = (IoURefiner(dataclasses.replace(CONFIG, dropout=s), Sum()) for s in (0.0, 0.999))
    whole, part = (jax.jit(r.loss)(frames, TRUTH[None], jnp.ones(1), KEY) for r in refiners)
    # A channel that is left counts a thousand times: the sum is far from 1.
    assert abs(whole - part) > 0.1
