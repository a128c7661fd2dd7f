"""ROAM's random scaling: what the rule sees, what the objective sees, and that nobody else does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt

PARAMS = {"filter": jnp.array([1.0, -2.0, 0.5]), "box": jnp.array([3.0, 1.0])}
RANGES = {"filter": 1.6, "box": 1.3}
DIAGONAL = {"filter": jnp.array([1.5, 3.0, 0.5]), "box": jnp.array([2.0, 0.1])}
OBJECTIVE = metaopt.LeastSquares(lambda p, _: jax.tree.map(lambda d, x: d * x - 1, DIAGONAL, p))


def scaled(rule, key=0, ranges=RANGES):
    return metaopt.RandomScaling(rule, PARAMS, jax.random.key(key), ranges)


def test_the_logarithms_of_the_factors_are_uniform_in_the_range_of_their_group():
    many = {"filter": jnp.zeros(4000), "box": jnp.zeros(4000)}
    factors = metaopt.RandomScaling(
        metaopt.SteepestDescent(), many, jax.random.key(0), RANGES
    ).factors
    for name, kappa in RANGES.items():
        quantiles = jnp.quantile(jnp.log(factors[name]), jnp.linspace(0, 1, 5))
        np.testing.assert_allclose(quantiles, kappa * jnp.linspace(-1, 1, 5), atol=0.06)
    assert not np.allclose(factors["filter"], factors["box"])


def test_gradient_descent_in_scaled_coordinates_has_the_factor_squared():
    """theta / eps moves by rate * eps * g, hence theta by rate * eps^2 * g."""
    rule = scaled(metaopt.GradientDescent(optax.sgd(0.01)))
    result = metaopt.fit(rule, OBJECTIVE, PARAMS, (), steps=1)
    gradient = OBJECTIVE.gradient(PARAMS, ())
    for name in PARAMS:
        expected = PARAMS[name] - 0.01 * rule.factors[name] ** 2 * gradient[name]
        np.testing.assert_allclose(result.params[name], expected, rtol=1e-5)
    np.testing.assert_allclose(result.losses[0], OBJECTIVE.loss(PARAMS, ()), rtol=1e-6)


def test_steepest_descent_sees_the_scaled_curvature():
    rule = scaled(metaopt.SteepestDescent())
    result = metaopt.fit(rule, OBJECTIVE, PARAMS, (), steps=1)
    ravel = lambda tree: jax.flatten_util.ravel_pytree(tree)[0]
    eps, d, x = ravel(rule.factors), ravel(DIAGONAL), ravel(PARAMS)
    gradient = eps * d * (d * x - 1)
    alpha = jnp.sum(gradient**2) / jnp.sum((d * eps * gradient) ** 2)
    np.testing.assert_allclose(ravel(result.params), x - eps * alpha * gradient, rtol=1e-5)


def test_without_curvature_the_objective_itself_is_named():
    objective = metaopt.ScalarLoss(lambda p, _: jnp.sum(p["box"]))
    with pytest.raises(TypeError, match="ScalarLoss has none"):
        metaopt.fit(scaled(metaopt.SteepestDescent()), objective, PARAMS, (), steps=1)


def test_a_scale_free_rule_is_told_from_the_scaled_coordinates_only():
    """Adam's first step is its rate in each scaled coordinate, so rate * eps in the params."""
    rule = scaled(metaopt.GradientDescent(optax.adam(0.01)))
    moved = metaopt.fit(rule, OBJECTIVE, PARAMS, (), steps=1).params
    for name in PARAMS:
        change = jnp.abs(moved[name] - PARAMS[name])
        np.testing.assert_allclose(change, 0.01 * rule.factors[name], rtol=1e-3)


@pytest.mark.full
def test_a_range_of_zero_changes_nothing_and_the_rule_keeps_its_meta_gradient():
    def final(network, ranges):
        rule = scaled(network, ranges=ranges)
        return metaopt.fit(rule, OBJECTIVE, PARAMS, (), steps=3).losses[-1]

    network = metaopt.CoordinatewiseRNN(scale=0.3, bias=-2.0)
    plain = lambda network: metaopt.fit(network, OBJECTIVE, PARAMS, (), steps=3).losses[-1]
    expected, gradient = jax.value_and_grad(plain)(network)
    value, actual = jax.value_and_grad(final)(network, 0.0)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), actual, gradient)
    assert abs(final(network, 1.6) - value) > 1e-4
