"""One outer step: the mean gradient over episodes, and what becomes of a non-finite one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt

EPISODES = {"scale": jnp.array([1.0, 3.0]), "target": jnp.array([2.0, 4.0])}


def loss(params, episode):
    value = 0.5 * episode["scale"] * (params["x"] - episode["target"]) ** 2
    return value, {"error": params["x"] - episode["target"]}


@pytest.mark.parametrize("at_once", [None, 1, 2])
def test_a_step_follows_the_mean_gradient_and_reports_mean_metrics(at_once):
    sgd = optax.sgd(0.1)
    state = metaopt.OuterState.create({"x": jnp.asarray(1.0)}, sgd)
    state, metrics = metaopt.outer_step(loss, sgd, state, EPISODES, at_once)
    gradient = (1 * (1 - 2) + 3 * (1 - 4)) / 2
    np.testing.assert_allclose(state.params["x"], 1 - 0.1 * gradient, rtol=1e-6)
    np.testing.assert_allclose(metrics["outer_loss"], (0.5 * 1 + 0.5 * 3 * 9) / 2)
    np.testing.assert_allclose(metrics["error"], (-1 - 3) / 2)
    np.testing.assert_allclose(metrics["gradient_norm"], -gradient)
    assert int(state.step) == 1 and int(state.skipped) == 0


@pytest.mark.parametrize("poison", [jnp.nan, jnp.inf])
def test_a_non_finite_step_is_skipped_and_counted(poison):
    adam = optax.adam(0.1)
    state = metaopt.OuterState.create({"x": jnp.asarray(1.0)}, adam)
    good, _ = metaopt.outer_step(loss, adam, state, EPISODES)
    bad = EPISODES | {"scale": jnp.array([1.0, poison])}
    for count in (1, 2):
        good_before = good
        good, _ = metaopt.outer_step(loss, adam, good, bad)
        assert int(good.skipped) == int(good.skipped_in_a_row) == count
        kept = jax.tree.leaves((good.params, good.optimizer_state))
        before = jax.tree.leaves((good_before.params, good_before.optimizer_state))
        jax.tree.map(np.testing.assert_array_equal, kept, before)
    good, _ = metaopt.outer_step(loss, adam, good, EPISODES)
    assert int(good.skipped) == 2 and int(good.skipped_in_a_row) == 0 and int(good.step) == 4
    assert jnp.isfinite(good.params["x"])


def test_the_step_compiles_once():
    adam, traces = optax.adam(0.1), []

    @jax.jit
    def step(state, episodes):
        traces.append(None)
        return metaopt.outer_step(loss, adam, state, episodes)

    state = metaopt.OuterState.create({"x": 1.0}, adam)
    for _ in range(3):
        state, _ = step(state, EPISODES)
    assert len(traces) == 1


def test_accumulated_steps_equal_one_step_on_all_their_episodes():
    """Gradient accumulation is optax's; the outer step has to leave it whole."""
    once = optax.sgd(0.1)
    accumulated = optax.MultiSteps(once, 2).gradient_transformation()
    whole = metaopt.OuterState.create({"x": jnp.asarray(1.0)}, once)
    whole, _ = metaopt.outer_step(loss, once, whole, EPISODES)
    state = metaopt.OuterState.create({"x": jnp.asarray(1.0)}, accumulated)
    for index in range(2):
        assert state.params["x"] == 1.0
        half = jax.tree.map(lambda leaf, i=index: leaf[i : i + 1], EPISODES)
        state, _ = metaopt.outer_step(loss, accumulated, state, half)
    np.testing.assert_allclose(state.params["x"], whole.params["x"], rtol=1e-6)


def test_the_number_of_inner_steps_may_vary_without_a_compilation_per_value():
    objective = metaopt.ScalarLoss(lambda x, episode: 0.5 * jnp.sum((x - episode["target"]) ** 2))
    sgd, traces = optax.sgd(0.0), []

    def after_the_fit(params, episode):
        rule = metaopt.LearnedRates(jnp.zeros(()), steps=1).replace(rates=params["rate"])
        rule = metaopt.ActiveSteps(rule, episode["steps"])
        result = metaopt.fit(rule, objective, jnp.zeros(()), episode, steps=8)
        return result.losses[-1], {}

    @jax.jit
    def step(state, episodes):
        traces.append(None)
        return metaopt.outer_step(after_the_fit, sgd, state, episodes)

    state = metaopt.OuterState.create({"rate": jnp.array([0.1])}, sgd)
    for steps in ([1, 1], [3, 5], [8, 0]):
        episodes = {"target": EPISODES["target"], "steps": jnp.array(steps)}
        _, metrics = step(state, episodes)
        expected = np.mean([0.5 * (t * 0.9**n) ** 2 for t, n in zip((2, 4), steps, strict=True)])
        np.testing.assert_allclose(metrics["outer_loss"], expected, rtol=1e-5)
    assert len(traces) == 1
