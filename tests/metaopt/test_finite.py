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
    x = jnp.array([0.3, 1.0, 2.5])
    plain, guarded = FUNCTIONS[name], with_finite_derivative(FUNCTIONS[name])
    np.testing.assert_array_equal(guarded(x), plain(x))
    for mode in (jax.jacfwd, jax.jacrev):
        if (name, mode) != ("loop", jax.jacrev):
            np.testing.assert_allclose(mode(guarded)(x), mode(plain)(x), rtol=1e-6)
    batch = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(jax.vmap(jax.jit(guarded))(batch), jax.vmap(plain)(batch), rtol=1e-6)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_the_derivative_of_a_norm_at_zero_is_zero(mode):
    assert jnp.isnan(mode(FUNCTIONS["norm"])(jnp.zeros(3))).all()
    np.testing.assert_array_equal(
        mode(with_finite_derivative(FUNCTIONS["norm"]))(jnp.zeros(3)), jnp.zeros(3)
    )


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_only_the_operation_without_a_finite_derivative_counts_as_constant(mode):
    """x / (|x| + 1e-3) with |x| as the root of a square: 1 / 1e-3 at zero."""
    x = jnp.array([0.0, 0.5])
    jacobian = mode(with_finite_derivative(FUNCTIONS["ratio"]))(x)
    np.testing.assert_allclose(jacobian, np.diag([1e3, 1e-3 / 0.501**2]), rtol=1e-4)


def test_a_branch_that_is_not_chosen_leaves_no_nan():
    def function(x):
        return jnp.where(x > 0, jnp.sqrt(x) * jnp.log(x), 2 * x)

    x = jnp.array([-1.0, 0.0, 4.0])
    assert jnp.isnan(jax.vmap(jax.grad(function))(x)[:2]).all()
    slopes = jax.vmap(jax.grad(with_finite_derivative(function)))(x)
    np.testing.assert_allclose(slopes, [2, 2, 0.25 * np.log(4) + 0.5], rtol=1e-6)


def test_integers_and_closed_over_tracers_pass_through():
    def outer(scale):
        function = lambda tree: {"x": scale * jnp.sqrt(tree["x"]), "n": tree["n"] // 2}
        out = with_finite_derivative(function)({"x": jnp.array([0.0, 4.0]), "n": jnp.array(5)})
        assert out["n"].dtype == jnp.int32
        return out["x"].sum()

    np.testing.assert_allclose(jax.grad(outer)(3.0), 2.0, rtol=1e-6)
