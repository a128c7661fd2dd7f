"""The losses of DSLT: values of the paper's formulas and derivatives with their true sign."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.trackers.dslt.losses import (
    REGRESSION_LOSSES,
    hard_negative_mining,
    label_weighted,
    shrinkage,
    squared,
)

# Compiled as a whole, not operation by operation.
LOSSES = {name: jax.jit(loss) for name, loss in REGRESSION_LOSSES.items()}
SLOPES = {name: jax.jit(jax.vmap(jax.grad(loss))) for name, loss in REGRESSION_LOSSES.items()}
BENDS = {n: jax.jit(jax.vmap(jax.grad(jax.grad(loss)))) for n, loss in REGRESSION_LOSSES.items()}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_shrinkage_has_the_values_and_slopes_of_the_formula(sign):
    errors = sign * jnp.array([0.1, 0.2, 0.5, 1.0])
    np.testing.assert_allclose(
        LOSSES["shrinkage"](errors), [0.002689, 0.02, 0.238144, 0.999665], atol=1e-6
    )
    slopes = SLOPES["shrinkage"](errors)
    expected = sign * np.array([0.073449, 0.3, 1.065516, 2.002682])
    np.testing.assert_allclose(slopes, expected, atol=1e-6)


def test_the_other_losses_have_their_closed_forms():
    errors = jnp.array([-0.5, 0.05, 0.2])
    found = {name: loss(errors) for name, loss in LOSSES.items()}
    np.testing.assert_allclose(found["squared"], [0.25, 0.0025, 0.04], rtol=1e-6)
    np.testing.assert_allclose(found["focal"], [0.125, 0.000125, 0.008], rtol=1e-6)
    np.testing.assert_allclose(found["hard_negative_mining"], [0.25, 0, 0.04], rtol=1e-6)
    np.testing.assert_allclose(hard_negative_mining(errors, 0.1), [0.25, 0, 0], rtol=1e-6)
    slopes = SLOPES["hard_negative_mining"](errors)
    np.testing.assert_allclose(slopes, [-1, 0, 0.4], rtol=1e-6)


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_derivatives_equal_finite_differences_and_point_uphill(name):
    with jax.enable_x64(True):
        loss, slope = LOSSES[name], SLOPES[name]
        errors = jnp.array([-0.9, -0.31, -0.13, -0.02, 0.02, 0.13, 0.31, 0.9])
        h = 1e-6
        slopes = slope(errors)
        np.testing.assert_allclose(
            slopes, (loss(errors + h) - loss(errors - h)) / (2 * h), atol=1e-8
        )
        np.testing.assert_allclose(
            BENDS[name](errors), (slope(errors + h) - slope(errors - h)) / (2 * h), atol=1e-8
        )
        assert (slopes * errors >= 0).all()


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_curvature_is_finite_and_never_negative(name):
    errors = jnp.linspace(-2, 2, 401)  # with 0 among them
    bends = BENDS[name](errors)
    assert jnp.isfinite(bends).all() and bends.min() >= 0


def test_cells_count_by_the_exponential_of_their_label():
    response, label = jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0])
    weighted = label_weighted(shrinkage, response, label)
    np.testing.assert_allclose(weighted, 0.238144 * np.array([np.e, 1.0]), rtol=1e-5)
    slope = jax.grad(lambda p: label_weighted(squared, p, label).sum())(response)
    np.testing.assert_allclose(slope, [-np.e, 1.0], rtol=1e-6)
