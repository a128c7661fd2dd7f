"""The objective of DSLT: label, loss and error of a response, by hand, and its derivatives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.heads.regression_head import RegressionHead
from tracking_tasks.trackers.dslt.losses import REGRESSION_LOSSES
from tracking_tasks.trackers.dslt.objective import RegressionConfig, RegressionSamples

CONFIG = RegressionConfig(label_sigma=0.5, regularization=0.1)
TARGET = np.array([2.0, 4.0])
CENTERS = np.array([[3.0, 2.0], [1.5, 4.0]])
WEIGHTS = np.array([0.75, 0.25])


def samples(features):
    return RegressionSamples(features, *map(jnp.asarray, (CENTERS, WEIGHTS, TARGET)))


def label(center, shape=(6, 7)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    dx, dy = (x - center[0]) / (0.5 * TARGET[0]), (y - center[1]) / (0.5 * TARGET[1])
    return np.exp(-0.5 * (dx**2 + dy**2))


def test_the_label_is_a_gaussian_with_the_shape_of_the_target():
    found = CONFIG.label(samples(jnp.zeros((2, 6, 7, 1))), 6, 7)
    np.testing.assert_allclose(found, [label(center) for center in CENTERS], atol=1e-6)
    assert found[0, 2, 3] == 1


def test_the_objective_is_the_weighted_loss_plus_the_decay():
    random = np.random.default_rng(0)
    maps, filters = random.normal(size=(2, 6, 7, 3)), random.normal(size=(3, 3, 3))
    head = RegressionHead(jnp.zeros((1, 3)), jnp.zeros((1, 3)), jnp.asarray(filters))
    batch = samples(jnp.asarray(maps))
    response = np.asarray(head.response(batch.features, batch.target), np.float64)
    expected = 0.1 * np.sum(filters**2)
    largest = 0.0
    for one, center, weight in zip(response, CENTERS, WEIGHTS, strict=True):
        error = np.abs(one - label(center))
        loss = error**2 / (1 + np.exp(10 * (0.2 - error)))
        expected += weight * np.sum(np.exp(label(center)) * loss)
        largest += weight * error.max()
    objective = CONFIG.objective(lambda head, maps: maps)
    assert objective.loss(head, batch) == pytest.approx(expected, rel=1e-5)
    found = CONFIG.max_error(jnp.asarray(response, jnp.float32), batch)
    assert found == pytest.approx(largest, rel=1e-5)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_gradient_and_curvature_equal_finite_differences(loss):
    with jax.enable_x64(True):
        random = np.random.default_rng(1)
        draw = lambda *shape: jnp.asarray(random.normal(size=shape))
        fine, coarse = draw(2, 6, 7, 4), draw(2, 6, 7, 5)
        head = RegressionHead(draw(4, 3), draw(5, 3), draw(3, 3, 6))
        batch = samples((fine, coarse))
        config = dataclasses.replace(CONFIG, loss=loss)
        objective = config.objective(lambda head, levels: head.maps(levels, "residual"))
        along = jax.tree.map(lambda leaf: draw(*leaf.shape), head)
        # In the filters alone the outputs are linear: the curvature is the whole Hessian.
        filters = along.replace(fine=jnp.zeros((4, 3)), coarse=jnp.zeros((5, 3)))
        dot = lambda a, b: sum(map(jnp.vdot, jax.tree.leaves(a), jax.tree.leaves(b)))

        @jax.jit
        def numbers(head):
            gradient, curvature = objective.quadratic(head, batch)
            products = dot(gradient, along), dot(gradient, filters)
            return objective.loss(head, batch), *products, curvature(filters)

        def difference(along, index):
            moved = lambda step: jax.tree.map(lambda p, d: p + step * d, head, along)
            return (numbers(moved(1e-6))[index] - numbers(moved(-1e-6))[index]) / 2e-6

        _, slope, _, bend = numbers(head)
        np.testing.assert_allclose(slope, difference(along, 0), rtol=1e-6)
        np.testing.assert_allclose(bend, difference(filters, 2), rtol=1e-5)
