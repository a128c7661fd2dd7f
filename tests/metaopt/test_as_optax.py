"""Every rule in an ordinary optax loop: the steps of `fit`, alone, chained, masked, accumulated."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.products import chosen

X = jax.random.normal(jax.random.key(0), (20, 4))
BATCH = X, X.sum(1)
START = {"w": jnp.zeros(4), "b": jnp.zeros(())}
OBJECTIVE = metaopt.LeastSquares(lambda p, b: (b[0] @ p["w"] + p["b"] - b[1]) / jnp.sqrt(10.0))


def loop(transformation, steps, params=START, **extra):
    """An ordinary training loop, compiled."""

    @jax.jit
    def step(params, state):
        value, gradient = jax.value_and_grad(OBJECTIVE.loss)(params, BATCH)
        updates, state = transformation.update(gradient, state, params, value=value, **extra)
        return optax.apply_updates(params, updates), state

    state = transformation.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params


@pytest.mark.parametrize(
    ("name",),
    chosen(
        zip(metaopt.optimizers.names()),
        [("gradient_descent",), ("steepest_descent",), ("gauss_newton",), ("lstm",), ("none",)],
    ),
)
def test_every_rule_takes_the_steps_of_fit(name):
    rule = metaopt.optimizers.make(name, START, steps=3, rate=0.05)
    wanted = metaopt.fit(rule, OBJECTIVE, START, BATCH, steps=4).params
    got = loop(metaopt.as_optax(rule), 4, objective=OBJECTIVE, batch=BATCH)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, wanted)
    assert name == "none" or not np.allclose(got["w"], START["w"])


def test_in_a_chain_it_follows_the_clipped_gradient():
    rates = metaopt.LearnedRates(START, steps=2, initial_rate=0.1)
    chain = optax.chain(optax.clip_by_global_norm(0.5), metaopt.as_optax(rates))
    wanted = loop(optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1)), 3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), loop(chain, 3), wanted)


def test_masked_it_leaves_the_others_alone():
    rule = metaopt.CoordinatewiseRNN(bias=-3.0)
    masked = optax.chain(
        optax.masked(metaopt.as_optax(rule), {"w": True, "b": False}),
        optax.masked(optax.set_to_zero(), {"w": False, "b": True}),
    )
    alone = metaopt.ScalarLoss(lambda w, b: OBJECTIVE.loss({"w": w, "b": START["b"]}, b))
    wanted = metaopt.fit(rule, alone, START["w"], BATCH, steps=3).params
    got = loop(masked, 3)
    np.testing.assert_allclose(got["w"], wanted, atol=1e-6)
    assert got["b"] == 0


def test_accumulated_over_two_steps():
    rates = metaopt.LearnedRates(START, steps=2, initial_rate=0.1)
    accumulated = optax.MultiSteps(metaopt.as_optax(rates), 2).gradient_transformation()
    wanted = loop(metaopt.as_optax(rates), 2)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), loop(accumulated, 4), wanted
    )


def test_what_it_needs_and_does_not_get_is_said():
    gradient, traced = jax.tree.map(np.ones_like, START), jax.eval_shape
    lstm = metaopt.as_optax(metaopt.CoordinatewiseRNN())
    with pytest.raises(ValueError, match="needs value="):
        traced(lambda: lstm.update(gradient, lstm.init(START), START))
    with pytest.raises(ValueError, match="needs the params"):
        traced(lambda: lstm.update(gradient, lstm.init(START), value=1.0))
    steepest = metaopt.as_optax(metaopt.SteepestDescent())
    with pytest.raises(TypeError, match="give it metaopt"):
        traced(lambda: steepest.update(gradient, steepest.init(START), START, value=1.0))
    polyak = metaopt.as_optax(metaopt.GradientDescent(optax.polyak_sgd()))
    updates, _ = polyak.update(gradient, polyak.init(START), START)
    assert jnp.isnan(updates["b"])
