"""Steepest descent: exact step lengths, the regularizer's share, and what it does at the end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt

X = jax.random.normal(jax.random.key(0), (6, 3))
Y = jax.random.normal(jax.random.key(1), (6,))
START = jnp.array([0.5, -1.0, 2.0])


@pytest.mark.parametrize("weight", [0.0, 0.3, 10.0])
def test_the_step_length_counts_the_curvature_of_the_regularizer(weight):
    """Ridge regression: Q = X'X + weight * I, as residuals and as a composite of outputs."""
    residuals = lambda w, _: {"data": X @ w - Y, "regularizer": jnp.sqrt(weight) * w}
    halved = lambda r, _: 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(r))
    matrix = X.T @ X + weight * jnp.eye(3)
    gradient = X.T @ (X @ START - Y) + weight * START
    alpha = gradient @ gradient / (gradient @ matrix @ gradient)
    for objective in (metaopt.LeastSquares(residuals), metaopt.CompositeLoss(residuals, halved)):
        result = metaopt.fit(metaopt.SteepestDescent(), objective, START, (), steps=1)
        np.testing.assert_allclose(result.params, START - alpha * gradient, rtol=1e-5)
        np.testing.assert_allclose(result.state.step_length, alpha, rtol=1e-5)


def test_the_step_ends_at_the_minimum_along_the_gradient():
    objective = metaopt.LeastSquares(lambda w, _: X @ w - Y)
    moved = metaopt.fit(metaopt.SteepestDescent(), objective, START, (), steps=1).params
    after = objective.gradient(moved, ())
    before = objective.gradient(START, ())
    assert abs(before @ after) < 1e-4 * before @ before


def test_the_learned_factor_scales_the_step_and_gets_its_derivative():
    objective = metaopt.LeastSquares(lambda w, _: X @ w - Y)
    moved = lambda log_step: (
        metaopt.fit(metaopt.SteepestDescent(log_step), objective, START, (), steps=1).params
    )
    full = moved(0.0) - START
    np.testing.assert_allclose(moved(jnp.log(0.7)) - START, 0.7 * full, rtol=1e-5)
    np.testing.assert_allclose(jax.jacfwd(moved)(0.0), full, rtol=1e-5)


@pytest.mark.parametrize(
    "residuals",
    [
        pytest.param(lambda w, s: s * (w - START), id="at the minimum"),
        pytest.param(lambda w, s: s * 0 * w + Y[:3], id="nothing depends on the params"),
        pytest.param(lambda w, s: s * 1e-12 * (w - 1.0), id="a curvature that underflows"),
    ],
)
def test_without_curvature_along_the_gradient_nothing_moves_and_derivatives_are_finite(residuals):
    objective = lambda s: metaopt.LeastSquares(lambda w, _: residuals(w, s))
    rule = metaopt.SteepestDescent()
    fit = lambda start, s: metaopt.fit(rule, objective(s), start, (), steps=3).params
    np.testing.assert_array_equal(fit(START, 1.0), START)
    by_start, by_scale = jax.jit(jax.jacrev(fit, (0, 1)))(START, 1.0)
    np.testing.assert_allclose(by_start, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(by_scale, 0.0, atol=1e-6)
