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


def test_a_condition_of_one_episode_at_a_time_stays_one():
    """Under vmap both of its branches would be computed."""

    def conditional(params, episode):
        far = lambda: 0.5 * (params["x"] - episode["target"]) ** 2
        return jax.lax.cond(episode["target"] > 3, far, lambda: params["x"]), {"one": jnp.ones(())}

    sgd = optax.sgd(0.1)
    state = metaopt.OuterState.create({"x": jnp.asarray(1.0)}, sgd)
    step = lambda at_once: metaopt.outer_step(conditional, sgd, state, EPISODES, at_once)
    for at_once, stays in ((1, True), (2, False)):
        assert ("cond[" in str(jax.make_jaxpr(step, static_argnums=0)(at_once))) == stays
        moved, metrics = step(at_once)
        np.testing.assert_allclose(moved.params["x"], 1 - 0.1 * (1 - 3) / 2, rtol=1e-6)
        assert metrics["one"] == 1


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


def start(transformation, value=1.0):
    return metaopt.OuterState.create({"x": jnp.asarray(value)}, transformation)


def test_an_update_that_overflows_is_skipped_and_counted():
    """Loss and gradient are finite; the moved parameter is not."""
    huge = {"scale": jnp.array([1e18, 1e18]), "target": jnp.array([0.0, 0.0])}
    sgd = optax.sgd(1e30)
    after, metrics = metaopt.outer_step(
        lambda p, e: (e["scale"] * p["x"], {}), sgd, start(sgd), huge
    )
    assert jnp.isfinite(metrics["outer_loss"]) and jnp.isfinite(metrics["gradient_norm"])
    assert after.skipped == 1 and after.params["x"] == 1.0


MEAN = np.mean([1.0 * 2, 3.0 * 4]) / np.mean([1.0, 3.0])  # where the mean loss is least


@pytest.mark.parametrize("at_once", [pytest.param(None, marks=pytest.mark.full), 1])
def test_lbfgs_gets_the_loss_as_a_function(at_once):
    lbfgs = optax.lbfgs()
    state = start(lbfgs)
    for _ in range(3):
        state, _ = metaopt.outer_step(loss, lbfgs, state, EPISODES, at_once)
    np.testing.assert_allclose(state.params["x"], MEAN, rtol=1e-4)
    assert state.skipped == 0


def test_reduce_on_plateau_gets_the_value():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1, cooldown=0)
    transformation = optax.chain(optax.sgd(0.0), plateau)
    state = start(transformation)
    for _ in range(4):
        state, _ = metaopt.outer_step(loss, transformation, state, EPISODES)
    assert state.optimizer_state[-1].scale < 1.0
    assert state.optimizer_state[-1].best_value == (0.5 + 0.5 * 3 * 9) / 2


@pytest.mark.parametrize("at_once", [None, 1])
def test_evolution_strategies_estimate_the_gradient_of_the_step(at_once):
    sgd = optax.sgd(1.0)
    estimator = metaopt.Evolution(jax.random.key(0), sigma=0.01, pairs=256)
    state, metrics = metaopt.outer_step(
        loss, sgd, start(sgd), EPISODES, at_once, estimator=estimator
    )
    again, _ = metaopt.outer_step(loss, sgd, start(sgd), EPISODES, at_once, estimator=estimator)
    gradient = (1 * (1 - 2) + 3 * (1 - 4)) / 2
    np.testing.assert_allclose(1.0 - state.params["x"], gradient, rtol=0.2)
    np.testing.assert_allclose(metrics["error"], -2.0)
    assert again.params["x"] == state.params["x"]
    other, _ = metaopt.outer_step(
        loss, sgd, start(sgd).replace(step=jnp.array(1)), EPISODES, estimator=estimator
    )
    assert other.params["x"] != state.params["x"]


def test_persistent_evolution_goes_on_from_its_carries():
    """A loss linear in the parameter: the estimate of an unroll is exact up to the drawn signs."""

    def unroll(params, episode, carry):
        carry = carry + params["x"] * episode["scale"]
        return carry, {"carry": carry}, carry

    sgd = optax.sgd(0.0)
    estimator = metaopt.PersistentEvolution(jax.random.key(0), sigma=0.1, pairs=2000)
    state = start(sgd)
    with pytest.raises(TypeError, match=r"estimator.begin\(state.params, carries\)"):
        metaopt.outer_step(unroll, sgd, state, EPISODES, estimator=estimator)
    state = state.replace(estimator_state=estimator.begin(state.params, jnp.zeros(2)))
    total = 0.0
    for index in range(2):
        state, metrics = metaopt.outer_step(unroll, sgd, state, EPISODES, estimator=estimator)
        total += metrics["gradient_norm"]
        # after t unrolls the carry is t x scale, its mean t x 2
        np.testing.assert_allclose(metrics["outer_loss"], 2.0 * (index + 1), rtol=0.02)
        np.testing.assert_allclose(metrics["carry"], 2.0 * (index + 1), rtol=0.02)
    # d/dx of 2 x + 4 x
    np.testing.assert_allclose(total, 6.0, rtol=0.15)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (dict(loss=lambda p, e: p["x"]), r"must return \(scalar, metrics\).*returned an array"),
        (dict(loss=lambda p, e: (p["x"], (1.0,))), "metrics a dictionary"),
        (dict(loss=lambda p, e: (p["x"] * jnp.ones(2), {})), r"has shape \(2,\)"),
        (dict(at_once=3), "at_once = 3 does not divide the 2 episodes"),
        (dict(episodes=[jnp.ones(2), jnp.ones(3)]), "Stack a list of episodes"),
        (dict(episodes=jnp.array(1.0)), "one entry an episode"),
    ],
)
def test_what_an_outer_step_lacks_is_said(wrong, words):
    sgd = optax.sgd(0.1)
    given = dict(loss=loss, transformation=sgd, state=start(sgd), episodes=EPISODES) | wrong
    with pytest.raises((TypeError, ValueError), match=words):
        metaopt.outer_step(**given)


def test_an_integer_meta_parameter_is_refused_by_its_name():
    with pytest.raises(TypeError, match=r"\['n'\] is int"):
        metaopt.OuterState.create({"x": 1.0, "n": 3}, optax.sgd(0.1))
