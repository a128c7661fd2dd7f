"""What MetaRTT's classifier is fitted to: boxes, their losses, and the box regression."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tracking_tasks import boxes as boxes_lib
from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers.meta_rtt import box_regression, box_sampling, loss
from tracking_tasks.trackers.meta_rtt.box_regression import BoxRegressor
from tracking_tasks.trackers.meta_rtt.box_sampling import Spread
from tracking_tasks.trackers.meta_rtt.loss import RoISamples

BOX = jnp.array([40.0, 30.0, 20.0, 40.0])
KEY = jax.random.key(0)

jitted = functools.partial(jax.jit, static_argnames=("count", "spread", "reach"))
around = jitted(box_sampling.around)
relative, fit = jax.jit(box_regression.relative), jax.jit(BoxRegressor.fit)
cross_entropy = jax.jit(loss.cross_entropy)
triplet_loss = jax.jit(loss.triplet_loss, static_argnums=3)
store, draw = jax.jit(RecentSamples.store), jax.jit(RecentSamples.draw, static_argnums=(2, 3))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def overlapping(count, min_overlap, max_overlap=1.0):
    """Boxes that overlap so much with BOX, and by how much they do."""
    found = box_sampling.overlapping(KEY, BOX, count, Spread(0.3, 1.4), min_overlap, max_overlap)
    return found, boxes_lib.overlap(found, BOX)


def test_boxes_stay_within_their_spread_and_reach_its_ends():
    drawn = around(KEY, BOX, 4000, Spread(0.5, 1.5, 1.1), reach=2.0)
    shift = np.abs(boxes_lib.center(drawn) - boxes_lib.center(BOX)).max(0)
    np.testing.assert_allclose(shift, 2 * 0.5 * 30, rtol=0.01)  # 30: mean of the sides
    scale = np.sqrt(np.prod(drawn[:, 2:], -1) / 800)
    np.testing.assert_allclose([scale.min(), scale.max()], [1 / 1.5, 1.5], rtol=0.01)
    aspect = np.asarray(drawn[:, 2] / drawn[:, 3] * 2)
    np.testing.assert_allclose([aspect.min(), aspect.max()], [1.1**-2, 1.1**2], rtol=0.01)


def test_gaussian_boxes_are_cut_at_two_deviations():
    drawn = around(KEY, BOX, 20000, Spread(0.5, 1.0, gaussian=True))
    shift = np.asarray(boxes_lib.center(drawn) - boxes_lib.center(BOX))[:, 0] / 15
    assert np.abs(shift).max() <= 1 + 1e-5
    np.testing.assert_allclose((np.abs(shift) > 1 - 1e-5).mean(), 0.0455, atol=0.01)
    np.testing.assert_allclose((np.abs(shift) < 0.5).mean(), 0.6827, atol=0.01)


def test_boxes_overlap_as_much_as_is_asked():
    overlap = np.asarray(overlapping(200, 0.5, 0.7)[1])
    assert overlap.min() >= 0.5 and overlap.max() <= 0.7
    few, overlap = map(np.asarray, overlapping(200, 0.8))  # repeats those that there are
    assert overlap.min() >= 0.8 and 1 < len(np.unique(few, axis=0)) < 100
    assert np.isfinite(overlapping(5, 0.9999)[0]).all()


def test_cross_entropy_is_optax_s():
    random = np.random.default_rng(0)
    logits, weights = random.normal(size=(6, 2)), random.uniform(size=6)
    positive = np.array([1, 0, 0, 1, 0, 1.0])
    samples = RoISamples(jnp.zeros((6, 1)), jnp.asarray(positive), jnp.asarray(weights))
    labels = 1 - positive.astype(int)  # logit 0 is that of the target
    losses = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), labels)
    expected = np.average(losses, weights=weights)
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits), samples), expected, rtol=1e-5)
    nothing = samples.replace(weights=jnp.zeros(6))
    assert cross_entropy(jnp.asarray(logits), nothing) == 0


def test_the_triplet_loss_is_the_mean_over_triplets():
    random = np.random.default_rng(1)
    positives, hard = random.normal(size=(3, 2)), random.normal(size=(4, 2))
    weights = np.array([1, 0, 1, 1.0])
    unit = lambda x: x / np.linalg.norm(x)
    distance = lambda a, b: np.sum((unit(a) - unit(b)) ** 2)
    losses = [
        max(0, 0.7 + distance(positives[i], positives[j]) - distance(positives[i], hard[k]))
        for i in range(3) for j in range(3) for k in range(4) if i != j and weights[k]
    ]  # fmt: skip
    ours = triplet_loss(*map(jnp.asarray, (positives, hard, weights)), 0.7)
    np.testing.assert_allclose(ours, np.mean(losses), rtol=1e-5)
    assert triplet_loss(jnp.asarray(positives), jnp.zeros((0, 2)), jnp.zeros(0), 0.7) == 0


def test_the_regression_is_the_ridge_regression_of_scikit_learn():
    from sklearn.linear_model import Ridge

    random = np.random.default_rng(2)
    features, reference = random.normal(size=(30, 50)), random.normal(size=50)
    drawn = np.asarray(around(KEY, BOX, 30, Spread(0.3, 1.6)))
    regressor = fit(*map(jnp.asarray, (features, drawn, reference)), BOX, 0.5)
    center = drawn[:, :2] + drawn[:, 2:] / 2
    shift = (np.array([50, 50]) - center) / drawn[:, 2:]
    wanted = np.concatenate([shift, np.log(np.array([20, 40]) / drawn[:, 2:])], 1)
    np.testing.assert_allclose(relative(jnp.asarray(drawn), BOX), wanted, rtol=1e-4, atol=1e-5)
    differences = features - reference
    ridge = Ridge(alpha=0.5 * np.square(differences).sum(), fit_intercept=False)
    theirs = ridge.fit(differences, wanted).predict(differences)
    np.testing.assert_allclose(regressor.relative(jnp.asarray(features)), theirs, atol=1e-5)
    ours = np.asarray(regressor(jnp.asarray(features), jnp.asarray(drawn)))
    expected = center + theirs[:, :2] * drawn[:, 2:]
    np.testing.assert_allclose(boxes_lib.center(ours), expected, rtol=1e-4)
    np.testing.assert_allclose(np.log(ours[:, 2:] / drawn[:, 2:]), theirs[:, 2:], atol=1e-4)


def test_features_that_tell_the_box_give_the_box_and_the_target_stays():
    drawn = around(KEY, BOX, 40, Spread(0.3, 1.3))
    told = relative(drawn, BOX)
    regressor = fit(told, drawn, jnp.zeros(4), BOX, 1e-6)
    np.testing.assert_allclose(regressor(told, drawn), np.tile(BOX, (40, 1)), atol=0.05)
    np.testing.assert_array_equal(regressor(jnp.zeros((1, 4)), BOX[None])[0], BOX)
    looks = jnp.array([1.0, 0, -2, 4])
    used_to = regressor.follow(looks, 0.25)
    np.testing.assert_allclose(used_to(looks[None] / 4, BOX[None])[0], BOX, rtol=1e-6)


def test_rows_are_drawn_from_the_newest_samples():
    memory = RecentSamples.create({"x": jnp.zeros(2)}, 4)
    for value in range(6):
        memory = store(memory, {"x": 10 * value + np.arange(2, dtype=np.float32)}, jnp.array(True))
    drawn = lambda newest: set(np.asarray(draw(memory, KEY, 100, newest)["x"]).tolist())
    assert drawn(2) == {50, 51, 40, 41}
    assert drawn(100) == {20, 21, 30, 31, 40, 41, 50, 51}
    first = RecentSamples.create({"x": jnp.zeros(2)}, 4)
    first = store(first, {"x": np.ones(2, np.float32)}, jnp.array(True))
    assert (draw(first, KEY, 9, 4)["x"] == 1).all()
