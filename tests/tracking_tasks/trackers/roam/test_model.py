"""ROAM's anchors, loss and search against values worked out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks import boxes, labels
from tracking_tasks.evaluation import overlap
from tracking_tasks.trackers.roam import anchors
from tracking_tasks.trackers.roam import model as resizable
from tracking_tasks.trackers.roam.search import Past, SearchConfig
from tracking_tasks.trackers.roam.search import search as search_eagerly

search = jax.jit(search_eagerly, static_argnums=(0, 1))
CONFIG = resizable.ResizableConfig(channels=3, filter_size=3, support=5, anchors=5)
BOX = jnp.array([2.4, 1.1, 3.0, 2.0])
ANCHOR = jnp.array([2.0, 2.0])


@pytest.mark.parametrize(("target", "size"), [(4.6, 7), (4.8, 9), (4.0, 7), (1.0, 3), (30.0, 11)])
def test_filters_are_odd_and_half_as_large_again_as_the_target(target, size):
    config = resizable.ResizableConfig()
    warped = config.warped_size(jnp.array([target, 4.0]))
    np.testing.assert_array_equal(warped, [size, 7])


def test_boxes_come_back_from_their_deltas():
    deltas = jnp.moveaxis(anchors.deltas(BOX, ANCHOR, 6, 8), 0, -1)
    center, size = boxes.from_relative(deltas, anchors.centers(6, 8), ANCHOR, 2.0)
    np.testing.assert_allclose(center, np.broadcast_to(BOX[:2] + BOX[2:] / 2, (6, 8, 2)), rtol=1e-5)
    np.testing.assert_allclose(size, np.broadcast_to(BOX[2:], (6, 8, 2)), rtol=1e-5)
    delta = anchors.deltas(BOX, ANCHOR, 6, 8)[:, 2, 3]
    np.testing.assert_allclose(delta, [0.45, 0.05, np.log(1.5), 0.0], atol=1e-6)


def test_the_closest_anchors_are_those_of_the_highest_overlap():
    chosen = anchors.closest(BOX, ANCHOR, 6, 8, 5)
    middles = np.array(anchors.centers(6, 8)).reshape(-1, 2)
    all_anchors = np.concatenate([middles - 1, np.full_like(middles, 2)], 1)
    overlaps = overlap(all_anchors, np.tile(BOX, (48, 1))).reshape(6, 8)
    assert chosen.sum() == 5
    assert overlaps[chosen].min() > overlaps[~chosen].max()


def test_an_anchor_that_misses_the_box_is_never_chosen():
    assert not anchors.closest(jnp.array([50.0, 50.0, 2.0, 2.0]), ANCHOR, 4, 4, 3).any()


def test_the_label_has_its_value_half_a_target_away():
    label = labels.elliptic(jnp.array([2.0, 3.0]), jnp.array([4.0, 8.0]), 8, 6, 20.0)
    assert label.shape == (8, 6) and label[3, 2] == 1
    np.testing.assert_allclose(label[3, 4], np.exp(-20 / 4), rtol=1e-5)
    np.testing.assert_allclose(label[7, 2], np.exp(-20 / 4), rtol=1e-5)


@functools.cache
def features():
    return jax.random.normal(jax.random.key(1), (2, 6, 8, 4))


def samples(weights=(0.25, 0.75), boxes=(BOX, BOX + 1)):
    return resizable.ResizableSamples(
        features(), jnp.stack(boxes), jnp.array(weights), jnp.array([2.0, 2.0])
    )


@jax.jit
def random_model():
    model = resizable.ResizableModel.create(jax.random.key(0), 4, CONFIG)
    return jax.tree.map(
        lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(2), leaf.shape), model
    )


def test_the_other_model_has_its_share_in_the_response_alone():
    model, maps, target = random_model(), samples().features, samples().target
    other = jax.tree.map(lambda leaf: -2 * leaf, model)
    outputs = jax.jit(resizable.outputs, static_argnums=0)
    seen, others = (outputs(CONFIG, each, maps, target) for each in (model, other))
    mixed_outputs = jax.jit(resizable.mixed_outputs, static_argnums=(0, 3))
    mixed = mixed_outputs(CONFIG, model, other, 0.3, maps, target)
    np.testing.assert_allclose(
        mixed.response, 0.7 * seen.response + 0.3 * others.response, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(mixed.deltas, seen.deltas)


def test_a_silent_model_has_the_loss_of_its_labels():
    batch = samples()
    model = resizable.ResizableModel.create(jax.random.key(0), 4, CONFIG)
    expected = 0.0
    anchor = batch.target
    for weight, box in zip(batch.weights, batch.boxes, strict=True):
        label = np.array(labels.elliptic(box[:2] + box[2:] / 2, box[2:], 6, 8, CONFIG.sharpness))
        background = (1 - label) * (label >= CONFIG.min_error)
        expected += weight * (label**3).sum() / max(label.sum(), 1)
        expected += weight * (background * label**2).sum() / max(background.sum(), 1)
        delta = anchors.deltas(box, anchor, 6, 8)[:, anchors.closest(box, anchor, 6, 8, 5)]
        smooth = np.where(abs(delta) < 1, delta**2 / 2, abs(delta) - 0.5)
        expected += weight * smooth.sum(0).mean()
    loss = jax.jit(resizable.objective(CONFIG).loss)(model, batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    with jax.enable_x64(True):
        double = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)
        model, batch = double(random_model()), double(samples())
        loss = jax.jit(resizable.objective(CONFIG).loss)
        direction = jax.tree.map(
            lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), model
        )
        moved = lambda t: jax.tree.map(lambda p, d: p + t * d, model, direction)
        numeric = (loss(moved(1e-5), batch) - loss(moved(-1e-5), batch)) / 2e-5
        gradient = jax.jit(jax.grad(loss))(model, batch)
        exact = sum(
            (g * d).sum()
            for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        )
        np.testing.assert_allclose(exact, numeric, rtol=1e-6)


def test_frames_without_the_target_count_for_nothing():
    nowhere = jnp.zeros(4)
    loss = jax.jit(jax.value_and_grad(resizable.objective(CONFIG).loss))
    one, _ = loss(random_model(), samples((1.0, 0.0)))
    other, _ = loss(random_model(), samples((1.0, 0.0), (BOX, nowhere)))
    assert one == other
    _, gradient = loss(random_model(), samples((0.0, 0.0), (nowhere, nowhere)))
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient))


ONE = jnp.ones(1), jnp.ones(1, bool)


def past(lost=False):
    size = jnp.array([2.0, 2.0])
    middle = jnp.array([4.0, 3.0])
    return Past(middle, size, size, size, jnp.array(lost), jnp.array(1.0))


@pytest.mark.parametrize(
    ("center", "shift"), [("regression", [5.4 - 4, 2.0 - 3]), ("response", [5 - 4, 2 - 3])]
)
def test_the_regressed_box_of_the_highest_response_is_taken(center, shift):
    response = jnp.zeros((1, 7, 9)).at[0, 2, 5].set(1.0)
    box = jnp.array([4.2, 1.0, 2.4, 2.0])
    deltas = anchors.deltas(box, past().shape, 7, 9)[:, None]
    found = search(
        CONFIG,
        SearchConfig("regression", center, shape_penalty=0.0, size_lr=1.0),
        resizable.ResizableOutputs(response, deltas),
        past(),
        *ONE,
    )
    np.testing.assert_allclose(found.shift, shift, atol=1e-5)
    np.testing.assert_allclose(found.size, box[2:], rtol=1e-5)
    assert found.score == 1 and found.region == 0


def test_a_change_of_shape_is_penalized_and_followed_in_part():
    response = jnp.zeros((1, 7, 9)).at[0, 3, 4].set(0.5)
    deltas = jnp.zeros((4, 1, 7, 9)).at[2].set(np.log(4.0 / past().shape[0]))
    seen = resizable.ResizableOutputs(response, deltas)
    found = search(CONFIG, SearchConfig("regression", size_lr=0.6), seen, past(), *ONE)
    height = float(past().shape[1])
    ratio = (4.0 / height) / 1.0
    padded = lambda w, h: np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2))
    penalty = np.exp(-0.05 * (ratio * padded(4.0, height) / padded(2.0, 2.0) - 1))
    rate = 0.6 * 0.5 * penalty
    np.testing.assert_allclose(found.size, [2 + rate * 2.0, 2 + rate * (height - 2)], rtol=1e-4)


def test_the_motion_map_decides_between_equal_peaks_and_the_loose_one_less():
    response = jnp.zeros((1, 7, 9)).at[0, 3, 5].set(0.8).at[0, 3, 1].set(1.0)
    seen = resizable.ResizableOutputs(response, jnp.zeros((4, 1, 7, 9)))
    near = search(CONFIG, SearchConfig("regression"), seen, past(), *ONE)
    config = SearchConfig("regression", lost_motion=20.0)
    far = search(CONFIG, config, seen, past(lost=True), *ONE)
    assert near.shift[0] > 0 > far.shift[0]


def test_without_regression_the_best_search_region_gives_the_scale():
    config = SearchConfig("scales", lost_motion=20.0, scale_penalty=0.9, size_lr=1.0)
    scales = jnp.array([0.5, 1.0, 2.0])
    response = jnp.zeros((3, 7, 9)).at[1, 3, 4].set(0.8).at[2, 3, 5].set(1.0)
    seen = resizable.ResizableOutputs(response, jnp.zeros((4, 3, 7, 9)))
    found = search(CONFIG, config, seen, past(lost=True), scales, jnp.ones(3, bool))
    assert found.region == 2
    np.testing.assert_allclose(found.shift, [2.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(found.size, 2 + 0.9 * 2.0, rtol=1e-5)
    counts = jnp.array([False, True, False])  # between two searches over scales
    assert search(CONFIG, config, seen, past(lost=True), scales, counts).region == 1


def test_both_follow_the_scale_and_then_the_regressed_size_within_its_bound():
    config = SearchConfig(
        "both", lost_motion=20.0, scale_penalty=1.0, shape_penalty=0.0, size_lr=0.5, aspect_lr=0.25,
        scale_lr=0.5, max_change=1.1,
    )  # fmt: skip
    scales = jnp.array([0.8, 1.0, 1.2])
    response = jnp.zeros((3, 7, 9)).at[1, 3, 4].set(0.8).at[2, 3, 4].set(1.0)
    # In the region of factor 1.2 the target is 2 wide and 1.8 high: 2.4 and 2.16 of factor 1.
    sides = np.log(np.array([2.0, 1.8]) / 2)
    deltas = jnp.zeros((4, 3, 7, 9)).at[2:, 2, 3, 4].set(jnp.asarray(sides))
    seen = resizable.ResizableOutputs(response, deltas)
    found = search(CONFIG, config, seen, past(lost=True), scales, jnp.ones(3, bool))
    scaled = 2 * 1.1
    width, height = np.minimum(2.4 / scaled, 1.1), 2.16 / scaled
    both, ratio = np.sqrt(width * height), np.sqrt(width / height)
    expected = scaled * both**0.5 * np.array([ratio**0.25, ratio**-0.25])
    assert found.region == 2
    np.testing.assert_allclose(found.size, expected, rtol=1e-5)
