"""The overlap predictor: derivatives in the box, symmetries, and what it may depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from models import Features, IoUPredictor, Modulation
from models.backbone import SAME_GRID

CHANNELS = (4, 6)


def features(seed, dtype=np.float32, side=8):
    random = np.random.default_rng(seed)
    shallow, deep = (
        random.standard_normal((2, cells, cells, channels)).astype(dtype)
        for cells, channels in zip((side, side // 2), CHANNELS, strict=True)
    )
    return Features(jnp.asarray(shallow), jnp.asarray(deep))


def first(tree):
    return jax.tree.map(lambda leaf: leaf[0], tree)


@pytest.fixture(scope="module")
def predictor():
    return IoUPredictor(CHANNELS, SAME_GRID, 5, nnx.Rngs(0))


@jax.jit
def predict(predictor, reference, query, box):
    modulation = predictor.modulation(first(reference), jnp.array([10.0, 14.0, 30.0, 22.0]))
    return predictor(first(predictor.query(query, modulation)), box)


def test_derivatives_in_the_box_are_right_in_double_precision(predictor):
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), predictor)
        reference, query = features(1, np.float64), features(2, np.float64)
        overlap = lambda box: predict(double, reference, query, box)
        box = jnp.array([12.3, 9.1, 25.7, 31.4], jnp.float64)
        assert jnp.abs(jax.grad(overlap)(box)).max() > 1e-6
        check_grads(overlap, (box,), order=1, modes=["rev"], atol=1e-8, rtol=1e-6)


def test_brightness_of_the_features_does_not_matter_but_the_reference_does(predictor):
    box = jnp.array([12.0, 9.0, 26.0, 31.0])
    result = predict(predictor, features(1), features(2), box)
    brighter = Features(*(3.0 * level for level in features(2)))
    np.testing.assert_allclose(predict(predictor, features(1), brighter, box), result, rtol=1e-3)
    assert abs(predict(predictor, features(3), features(2), box) - result) > 1e-4


def test_a_box_moves_with_the_picture(predictor):
    """Sixteen pixels are two cells of one level and one of the other."""
    base = features(2, side=24)
    moved = Features(jnp.roll(base[0], 2, (1, 2)), jnp.roll(base[1], 1, (1, 2)))
    box = jnp.array([64.0, 60.0, 30.0, 42.0])  # its surroundings stay off the border
    there = box + jnp.array([16.0, 16.0, 0.0, 0.0])
    result = predict(predictor, features(1), base, box)
    np.testing.assert_allclose(predict(predictor, features(1), moved, there), result, rtol=1e-4)
    assert abs(predict(predictor, features(1), base, there) - result) > 1e-4


def test_both_levels_are_weighed_by_the_modulation(predictor):
    query, random = jax.jit(predictor.query), np.random.default_rng(4)
    modulation = Modulation(*jnp.asarray(random.normal(size=(2, 5)), jnp.float32))
    plain = query(features(2), jax.tree.map(jnp.ones_like, modulation))
    found = query(features(2), modulation)
    for level, unweighed, weights in zip(found, plain, modulation, strict=True):
        np.testing.assert_allclose(level, unweighed * weights, rtol=1e-5)


def test_many_boxes_at_once_equal_one_by_one(predictor):
    modulated, query = jax.jit(predictor.modulation), jax.jit(predictor.query)
    modulation = modulated(first(features(1)), jnp.array([10.0, 14.0, 30.0, 22.0]))
    maps = first(query(features(2), modulation))
    boxes = jnp.array([[12.0, 9.0, 26.0, 31.0], [-5.0, 40.0, 12.0, 60.0], [3.0, 3.0, 0.0, 9.0]])
    together = jax.jit(jax.vmap(predictor, (None, 0)))(maps, boxes)
    one_by_one = [predict(predictor, features(1), features(2), box) for box in boxes]
    np.testing.assert_allclose(together, np.stack(one_by_one), rtol=1e-4, atol=1e-6)
    assert np.isfinite(together).all()
