"""The evolution estimators: unbiased within three standard errors where the gradient is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt

REPETITIONS = 400


def mean_and_error(estimates):
    return estimates.mean(0), estimates.std(0, ddof=1) / np.sqrt(len(estimates))


def assert_unbiased(estimates, truth):
    mean, error = mean_and_error(estimates)
    assert np.all(np.abs(mean - truth) < 3 * error), (mean, truth, error)
    # Three standard errors would excuse anything if the errors were large.
    assert np.all(error < 0.1 * np.max(np.abs(truth)))


def repeat(estimate, seed):
    return jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(seed), REPETITIONS))


def evolution_gradient(loss, params, key, **options):
    """Compiled as a whole."""
    estimate = lambda params, key: metaopt.evolution_gradient(loss, params, key, **options)
    return jax.jit(estimate)(params, key)


def test_evolution_gradient_is_unbiased_on_a_quadratic_of_a_pytree():
    params = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}
    loss = lambda p: jnp.sum(p["a"] ** 2) * 1.5 + p["a"][0] * p["b"] - 4 * p["b"]
    values, gradients = repeat(
        lambda key: metaopt.evolution_gradient(loss, params, key, sigma=0.3, pairs=32), 0
    )
    truth = jax.grad(loss)(params)
    assert_unbiased(gradients["a"], truth["a"])
    assert_unbiased(gradients["b"], truth["b"])
    # The mean loss is that of the smoothed loss: L + sigma^2 / 2 * trace of the Hessian.
    assert_unbiased(values, loss(params) + 0.3**2 / 2 * 6)


def test_evolution_gradient_needs_no_derivative():
    """A step function, smoothed, has a Gaussian for its derivative."""
    step, sigma, at = lambda p: jnp.where(p > 0, 1.0, 0.0), 0.5, jnp.array(0.2)
    _, gradients = repeat(
        lambda key: metaopt.evolution_gradient(step, at, key, sigma=sigma, pairs=64), 1
    )
    truth = np.exp(-0.5 * (at / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    assert_unbiased(gradients, truth)


def test_antithetic_pairs_cancel_the_even_part():
    loss = lambda p: 100.0 + jnp.sum(p**2)
    _, gradient = evolution_gradient(loss, jnp.zeros(3), jax.random.key(2), sigma=0.1, pairs=1)
    np.testing.assert_array_equal(gradient, 0)


def sum_of_unrolls(unroll, theta, carry, key, *, unrolls, sigma, pairs, persistent):
    """The summed gradient over the unrolls of one problem, PES or truncated ES."""

    def one(joint, key):
        state, carry = joint
        if persistent:
            _, gradient, state = metaopt.persistent_evolution_gradient(
                unroll, theta, state, key, sigma=sigma
            )
            return (state, carry), gradient
        loss = lambda theta: unroll(theta, carry)[0]
        _, gradient = metaopt.evolution_gradient(loss, theta, key, sigma=sigma, pairs=pairs)
        return (state, unroll(theta, carry)[1]), gradient

    state = metaopt.PersistentState.create(theta, carry, pairs=pairs)
    _, gradients = jax.lax.scan(one, (state, carry), jax.random.split(key, unrolls))
    return jax.tree.map(lambda g: g.sum(0), gradients)


def assert_persistent_is_unbiased_and_truncated_is_not(unroll, theta, carry, sigma):
    def whole(theta):
        def one(carry, _):
            loss, carry = unroll(theta, carry)
            return carry, loss

        return jax.lax.scan(one, carry, None, length=3)[1].sum()

    truth = jax.grad(whole)(theta)
    persistent, truncated = (
        repeat(
            lambda key, flag=flag: sum_of_unrolls(
                unroll, theta, carry, key, unrolls=3, sigma=sigma, pairs=64, persistent=flag
            ),
            3,
        )
        for flag in (True, False)
    )
    assert_unbiased(persistent, truth)
    mean, error = mean_and_error(truncated)
    assert np.all(np.abs(mean - truth) > 10 * error)


def test_persistent_evolution_has_no_truncation_bias_where_truncated_has():
    """The carry adds up theta; each loss is quadratic in it, so smoothing adds no bias either."""

    def unroll(theta, carry):
        carry = carry + theta
        return 0.5 * (carry - 3.0) ** 2, carry

    assert_persistent_is_unbiased_and_truncated_is_not(
        unroll, jnp.array(0.4), jnp.array(0.0), sigma=0.2
    )


@pytest.mark.full
def test_persistent_evolution_of_a_rate_through_fit():
    """Unrolls of two steps of momentum: the carry is the params and the optimizer's state."""
    objective = metaopt.ScalarLoss(lambda p, batch: 0.5 * jnp.sum(batch * p**2))
    rule = metaopt.GradientDescent(optax.inject_hyperparams(optax.sgd)(0.1, momentum=0.5))
    curvature = jnp.array([1.0, 3.0])

    def unroll(rate, carry):
        hyperparams = rule.hyperparams | {"learning_rate": rate}
        params, state = carry
        fitted = metaopt.fit(rule.replace(hyperparams=hyperparams), objective, params, curvature,
                             steps=2, state=state)  # fmt: skip
        return fitted.losses[-1], (fitted.params, fitted.state)

    start = jnp.array([2.0, -1.0])
    assert_persistent_is_unbiased_and_truncated_is_not(
        unroll, jnp.array(0.05), (start, rule.init(start)), sigma=1e-3
    )


def test_a_pair_that_diverged_is_left_out_of_both_means():
    loss = lambda p: jnp.where(p > 1.2, jnp.nan, jnp.where(p < -1.0, jnp.inf, p**2))
    key, pairs, sigma = jax.random.key(3), 64, 0.3
    value, gradient = evolution_gradient(loss, jnp.array(0.8), key, sigma=sigma, pairs=pairs)
    e = sigma * np.asarray(jax.random.normal(jax.random.split(key, 1)[0], (pairs,)), float)
    plus, minus = 0.8 + e, 0.8 - e
    kept = (plus <= 1.2) & (minus <= 1.2)
    assert 0 < kept.sum() < pairs
    expected = np.mean((e * (plus**2 - minus**2))[kept]) / (2 * sigma**2)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)
    np.testing.assert_allclose(value, np.mean(((plus**2 + minus**2) / 2)[kept]), rtol=1e-4)


def test_where_every_pair_diverged_the_gradient_is_nan():
    value, gradient = evolution_gradient(
        lambda p: p * jnp.inf, jnp.array(1.0), jax.random.key(0), sigma=0.1, pairs=4
    )
    assert jnp.isnan(value) and jnp.isnan(gradient)


def test_a_python_float_is_a_parameter():
    _, gradient = metaopt.evolution_gradient(
        lambda p: 3 * p["w"], {"w": 0.5}, jax.random.key(0), sigma=0.1, pairs=4
    )
    assert gradient["w"].dtype == jnp.float32
