"""Steepest descent: exact step lengths, the regularizer's share, and what it does at the end."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from tests.products import chosen

X = jax.random.normal(jax.random.key(0), (6, 3))
Y = jax.random.normal(jax.random.key(1), (6,))
START = jnp.array([0.5, -1.0, 2.0])


@pytest.mark.parametrize(("weight",), chosen(zip((0.0, 0.3, 10.0)), [(0.3,)]))
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
        pytest.param(lambda w, s: s * 1e-25 * (w - 1.0), id="a curvature that underflows"),
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


@pytest.mark.parametrize(
    ("dtype", "scale"),
    chosen(
        itertools.product((jnp.bfloat16, jnp.float32), (1e-12, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e12)),
        [(jnp.bfloat16, 1e-12), (jnp.float32, 1e-12), (jnp.float32, 1e12)],
    ),
)
def test_the_scale_of_the_residuals_does_not_matter(dtype, scale):
    """Iterates and derivatives of a fit, beside those in float64 by NumPy."""
    wide = np.asarray(START, float)
    rule, start = metaopt.SteepestDescent(), START.astype(dtype)
    objective = metaopt.LeastSquares(lambda w, y: scale * (X.astype(dtype) @ w - y.astype(dtype)))
    fit = lambda start, y: metaopt.fit(rule, objective, start, y, steps=3).params
    expected, slope = (
        by_numpy(START, Y, 3),
        (by_numpy(wide + 1e-6 * V, Y, 3) - by_numpy(wide - 1e-6 * V, Y, 3)) / 2e-6,
    )
    tolerance = 1e-3 if dtype == jnp.float32 else 0.1
    moved, along = jax.jvp(lambda p: fit(p, Y), (start,), (jnp.asarray(V, dtype),))
    np.testing.assert_allclose(moved.astype(float), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(along.astype(float), slope, rtol=4 * tolerance, atol=4 * tolerance)


V = np.array([0.3, -0.5, 0.7])


def by_numpy(start, y, steps):
    x, w, y = (np.asarray(a, float) for a in (X, start, y))
    for _ in range(steps):
        g = x.T @ (x @ w - y)
        w = w - g @ g / np.sum((x @ g) ** 2) * g
    return w


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
def test_params_of_float16_are_fitted_in_the_range_of_float32(scale):
    objective = metaopt.LeastSquares(lambda w, _: jnp.float32(scale) * (X @ w - Y))
    start = START.astype(jnp.float16)
    moved = metaopt.fit(metaopt.SteepestDescent(), objective, start, (), steps=4).params
    assert moved.dtype == jnp.float16
    np.testing.assert_allclose(moved, by_numpy(START, Y, 4), rtol=5e-3, atol=5e-3)


def test_where_the_curvature_is_not_positive_it_says_so():
    """A criterion that is linear in the outputs has none; at a minimum there is nothing to say."""
    linear = metaopt.CompositeLoss(lambda w, _: X @ w, lambda z, _: jnp.sum(z))
    fitted = metaopt.fit(metaopt.SteepestDescent(), linear, START, (), steps=3)
    assert fitted.state.stalled == 3 and fitted.state.step_length == 0
    np.testing.assert_array_equal(fitted.params, START)
    concave = metaopt.CompositeLoss(lambda w, _: w, lambda z, _: -jnp.sum(z**2))
    assert metaopt.fit(metaopt.SteepestDescent(), concave, START, (), steps=2).state.stalled == 2
    there = metaopt.LeastSquares(lambda w, _: w - START)
    assert metaopt.fit(metaopt.SteepestDescent(), there, START, (), steps=3).state.stalled == 0
