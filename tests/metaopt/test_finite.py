"""Derivatives that are finite: zero only where an operation has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metaopt._finite import with_finite_derivative
from tests.products import chosen

FUNCTIONS = {
    "norm": lambda x: jnp.sqrt(jnp.sum(x**2)),
    "reciprocal": lambda x: 1 / x,
    "ratio": lambda x: x / (jnp.sqrt(x**2) + 1e-3),
    "power": lambda x: x**-0.5 + x**0.3 + x**-2,
    "logarithm": lambda x: jnp.log(x) * jnp.cbrt(x) + jax.lax.rsqrt(x) + jnp.log1p(x),
    "nested": lambda x: jax.lax.cond(x[0] > -1, jax.jit(jnp.sqrt), lambda x: x, x),
    "loop": lambda x: jax.lax.fori_loop(0, 3, lambda _, y: jnp.sin(y), x),
}


@pytest.mark.parametrize(
    ("name",), chosen(zip(FUNCTIONS), [("norm",), ("ratio",), ("nested",), ("loop",)])
)
def test_value_and_derivatives_are_the_function_s_own_where_those_are_finite(name):
    x = np.float32([0.3, 1, 2.5])
    batch = np.stack([x, 2 * x])
    modes = [jax.jacfwd] if name == "loop" else [jax.jacfwd, jax.jacrev]

    def everything(function):
        slopes = jax.jit(lambda x: [mode(function)(x) for mode in modes])(x)
        return jax.jit(function)(x), [*slopes, jax.vmap(jax.jit(function))(batch)]

    value, others = everything(FUNCTIONS[name])
    guarded_value, guarded_others = everything(with_finite_derivative(FUNCTIONS[name]))
    np.testing.assert_array_equal(guarded_value, value)
    for guarded, plain in zip(guarded_others, others, strict=True):
        np.testing.assert_allclose(guarded, plain, rtol=1e-6)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_the_derivative_of_a_norm_at_zero_is_zero(mode):
    zeros, norm = np.zeros(3, np.float32), FUNCTIONS["norm"]
    assert np.isnan(jax.jit(mode(norm))(zeros)).all()
    np.testing.assert_array_equal(jax.jit(mode(with_finite_derivative(norm)))(zeros), zeros)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_only_the_operation_without_a_finite_derivative_counts_as_constant(mode):
    """x / (|x| + 1e-3) with |x| as the root of a square: 1 / 1e-3 at zero."""
    x = jnp.array([0.0, 0.5])
    jacobian = jax.jit(mode(with_finite_derivative(FUNCTIONS["ratio"])))(x)
    np.testing.assert_allclose(jacobian, np.diag([1e3, 1e-3 / 0.501**2]), rtol=1e-4)


def test_a_branch_that_is_not_chosen_leaves_no_nan():
    def function(x):
        return jnp.where(x > 0, jnp.sqrt(x) * jnp.log(x), 2 * x)

    x = jnp.array([-1.0, 0.0, 4.0])
    slope = lambda function: np.asarray(jax.jit(jax.vmap(jax.grad(function)))(x))
    assert np.isnan(slope(function)[:2]).all()
    slopes = slope(with_finite_derivative(function))
    np.testing.assert_allclose(slopes, [2, 2, 0.25 * np.log(4) + 0.5], rtol=1e-6)


def test_integers_and_closed_over_tracers_pass_through():
    def outer(scale):
        function = lambda tree: {"x": scale * jnp.sqrt(tree["x"]), "n": tree["n"] // 2}
        out = with_finite_derivative(function)({"x": jnp.array([0.0, 4.0]), "n": jnp.array(5)})
        assert out["n"].dtype == jnp.int32
        return out["x"].sum()

    np.testing.assert_allclose(jax.grad(outer)(3.0), 2.0, rtol=1e-6)
