"""optax rules: meta-parameters that do not recompile, and derivatives at zero gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.products import chosen

START, TARGET = jnp.array([0.5, 0.3, 0.2]), jnp.array([1.0, 2.0, -1.0])
MASK = jnp.array([1.0, 0.0, 3.0])
QUADRATIC = metaopt.ScalarLoss(lambda p, mask: 0.5 * jnp.sum(mask * (p - TARGET) ** 2))


def fitted(transformation, start, mask=MASK, steps=4):
    rule = metaopt.GradientDescent(transformation)
    return metaopt.fit(rule, QUADRATIC, start, mask, steps=steps).params


def test_momentum_and_its_meta_gradient_follow_the_recursion():
    momentum = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1, momentum=0.9)
    rule = metaopt.GradientDescent(momentum)
    assert rule.hyperparams.keys() == {"learning_rate", "momentum"}

    def by_fit(values):
        return metaopt.fit(rule.replace(hyperparams=values), QUADRATIC, START, MASK, steps=4).params

    def by_hand(values):
        p, trace = START, jnp.zeros(3)
        for _ in range(4):
            trace = values["momentum"] * trace + MASK * (p - TARGET)
            p = p - values["learning_rate"] * trace
        return p

    values = {"learning_rate": jnp.array(0.07), "momentum": jnp.array(0.8)}
    np.testing.assert_allclose(by_fit(values), by_hand(values), rtol=1e-6)
    jacobians = jax.jacrev(by_fit)(values), jax.jacrev(by_hand)(values)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *jacobians)


def injected_chain():
    clip = optax.inject_hyperparams(optax.clip_by_global_norm)(max_norm=0.5)
    return optax.chain(clip, optax.inject_hyperparams(optax.sgd)(learning_rate=0.1))


def test_hyper_parameters_injected_into_links_of_a_chain_are_leaves():
    rule = metaopt.GradientDescent(injected_chain())
    assert rule.hyperparams.keys() == {"max_norm", "learning_rate"}

    def moved(values):
        rule_ = rule.replace(hyperparams=values)
        return jnp.linalg.norm(metaopt.fit(rule_, QUADRATIC, START, MASK, steps=1).params - START)

    # One clipped step is as long as rate times norm.
    slopes = jax.grad(moved)({"max_norm": jnp.array(0.25), "learning_rate": jnp.array(2.0)})
    np.testing.assert_allclose(slopes["max_norm"], 2.0, rtol=1e-5)
    np.testing.assert_allclose(slopes["learning_rate"], 0.25, rtol=1e-5)


def test_two_links_with_the_same_name_are_refused():
    sgd = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    with pytest.raises(ValueError, match="two links of the chain inject 'learning_rate'"):
        metaopt.GradientDescent(optax.chain(sgd, sgd))


def test_a_schedule_stays_one_beside_a_learned_hyper_parameter():
    schedule = lambda count: 0.1 * 0.5**count
    sgd = optax.inject_hyperparams(optax.sgd)(learning_rate=schedule, momentum=0.0)
    rule = metaopt.GradientDescent(sgd)
    assert rule.hyperparams.keys() == {"momentum"}
    plain = fitted(optax.sgd(schedule), START)
    np.testing.assert_allclose(fitted(sgd, START), plain, rtol=1e-6)
    expected = START - TARGET
    for count in range(4):
        expected = expected * (1 - 0.1 * 0.5**count * MASK)
    np.testing.assert_allclose(plain - TARGET, expected, rtol=1e-5)


def test_changed_values_of_all_hyper_parameters_do_not_recompile():
    traces = []

    @jax.jit
    def run(rule, start):
        traces.append(None)
        return metaopt.fit(rule, QUADRATIC, start, MASK, steps=2).params

    adam = optax.inject_hyperparams(optax.adam)(learning_rate=0.1, b1=0.8)
    rule = metaopt.GradientDescent(adam)
    first = run(rule, START)
    changed = {name: 0.5 * value for name, value in rule.hyperparams.items()}
    second = run(rule.replace(hyperparams=changed), START)
    assert len(traces) == 1
    assert not np.allclose(first, second)


def test_a_rule_that_differs_by_leaf_asks_for_the_params():
    labels = {"w": "slow", "b": "fast"}
    rates = lambda slow, fast: optax.partition(
        {"slow": optax.sgd(slow), "fast": optax.sgd(fast)}, labels
    )
    params = {"w": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}
    rule = metaopt.GradientDescent(optax.inject_hyperparams(rates)(slow=0.1, fast=0.5), params)
    assert rule.hyperparams.keys() == {"slow", "fast"}
    objective = metaopt.ScalarLoss(lambda p, _: 0.5 * (jnp.sum(p["w"] ** 2) + p["b"] ** 2))
    moved = metaopt.fit(rule, objective, params, (), steps=1).params
    np.testing.assert_allclose(moved["w"], [0.9, 1.8], rtol=1e-6)
    np.testing.assert_allclose(moved["b"], 1.5, rtol=1e-6)


def test_a_rule_that_wants_the_loss_is_given_it():
    """Polyak's step, (loss - 0) / |g|^2, halves the error of half a square in each step."""
    objective = metaopt.ScalarLoss(lambda p, _: 0.5 * jnp.sum(p**2))
    rule = metaopt.GradientDescent(optax.polyak_sgd(max_learning_rate=10.0, eps=0.0))
    result = metaopt.fit(rule, objective, START, (), steps=3)
    np.testing.assert_allclose(result.params, START / 8, rtol=1e-5)


def test_float32_hyper_parameters_drive_bfloat16_params():
    adam = optax.inject_hyperparams(optax.adam, hyperparam_dtype=jnp.float32)(learning_rate=0.1)
    start = START.astype(jnp.bfloat16)
    moved = fitted(adam, start)
    assert moved.dtype == jnp.bfloat16
    # In bfloat16 the decay b2 = 0.999 would be 1, and the second moment 0 / 0.
    expected = fitted(optax.adam(0.1), START)
    np.testing.assert_allclose(moved.astype(jnp.float32), expected, atol=0.03)


# Those whose derivative optax leaves NaN at a zero coordinate, then others that must stay right.
RULES = {
    "adam": optax.adam(0.1),
    "adamw": optax.adamw(0.1),
    "adafactor": optax.adafactor(0.1),
    "amsgrad": optax.amsgrad(0.1),
    "lamb": optax.lamb(0.1),
    "nadam": optax.nadam(0.1),
    "radam": optax.radam(0.1),
    "clip_by_global_norm": optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)),
    "clipped_adam": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
    "accumulated_adam": optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation(),
    "momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "rmsprop": optax.rmsprop(0.1),
    "adabelief": optax.adabelief(0.1),
    "lion": optax.lion(0.1),
}


# Moments, factored ones, a trust ratio, a norm, an accumulation, a sign.
VALUES = ["adam", "adafactor", "lamb", "clip_by_global_norm", "accumulated_adam", "lion"]
MASKED = ["adam", "adafactor", "clip_by_global_norm", "lion"]


@pytest.mark.parametrize(("name",), chosen(zip(RULES), zip(VALUES)))
def test_the_value_is_optax_s_own(name):
    transformation = RULES[name]

    @jax.jit
    def both(start):
        params, state = start, transformation.init(start)
        for _ in range(4):
            gradient = jax.grad(lambda p: QUADRATIC.loss(p, MASK))(params)
            updates, state = transformation.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return fitted(transformation, start), params

    ours, expected = both(START)
    np.testing.assert_allclose(ours, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize(("name",), chosen(zip(RULES), zip(MASKED)))
def test_a_masked_coordinate_does_no_harm_to_the_meta_gradient(name):
    """In float64, against differences along the coordinates that are not masked."""
    with jax.enable_x64(True):
        start, mask = START.astype(jnp.float64), MASK.astype(jnp.float64)
        both = jax.jit(jax.value_and_grad(lambda p: jnp.sum(fitted(RULES[name], p, mask) ** 2)))
        function = lambda p: both(p)[0]
        _, gradient = both(start)
        for index in (0, 2):
            step = 1e-4 * np.eye(3)[index]
            along = lambda k, step=step: function(start + k * step) - function(start - k * step)
            numeric = (8 * along(1) - along(2)) / 12e-4
            np.testing.assert_allclose(gradient[index], numeric, rtol=2e-6, atol=1e-8)
        assert jnp.isfinite(gradient[1])


@pytest.mark.parametrize(
    ("name",),
    chosen(
        [(name,) for name in RULES if name not in ("lamb", "adafactor")],
        [("adam",), ("rmsprop",)],
    ),
)
def test_a_masked_coordinate_is_carried_as_it_is(name):
    """Its final value is its initial one, but for weight decay; the float32 derivative says so."""
    transformation = optax.adam(0.1) if name == "adamw" else RULES[name]
    if name == "lion":
        transformation = optax.lion(0.1, weight_decay=0.0)
    slope = jax.jit(jax.grad(lambda p: fitted(transformation, p, steps=10)[1]))(START)
    np.testing.assert_allclose(slope, [0.0, 1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "mode"),
    chosen(
        [(name, mode) for name in RULES for mode in (jax.jacrev, jax.jacfwd)],
        [("adam", jax.jacrev), ("clip_by_global_norm", jax.jacfwd)],
    ),
)
def test_an_all_zero_gradient_has_a_finite_meta_gradient(name, mode):
    jacobian = jax.jit(mode(lambda p: fitted(RULES[name], p, 0 * MASK)))(START)
    assert jnp.isfinite(jacobian).all()


def test_the_derivative_of_clipping_a_zero_gradient_is_that_of_no_clipping():
    clip = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
    jacobian = jax.jacrev(lambda p: fitted(clip, p, jnp.ones(3), steps=2))(TARGET)
    np.testing.assert_allclose(jacobian, 0.9**2 * np.eye(3), rtol=1e-6)


def test_a_coordinate_at_its_optimum_stays_finite_over_many_steps():
    """There Adam's derivative is -rate / eps; 64 powers of it would overflow."""
    start = jnp.array([0.5, 2.0, 0.2])
    slope = jax.grad(lambda p: fitted(optax.adam(0.1), p, jnp.ones(3), steps=64)[1])(start)
    np.testing.assert_allclose(slope, [0.0, 1.0, 0.0], atol=1e-6)


def test_meta_gradients_of_adam_s_hyper_parameters_ignore_a_masked_coordinate():
    adam = optax.inject_hyperparams(optax.adam)(learning_rate=0.1)
    rule = metaopt.GradientDescent(adam)

    def slopes(keep):
        target = TARGET[keep]
        objective = metaopt.ScalarLoss(lambda p, mask: 0.5 * jnp.sum(mask * (p - target) ** 2))
        final = lambda values: jnp.sum(
            metaopt.fit(rule.replace(hyperparams=values), objective, START[keep], MASK[keep],
                        steps=4).params
        )  # fmt: skip
        return jax.grad(final)(rule.hyperparams)

    with_it, without = slopes(jnp.array([0, 1, 2])), slopes(jnp.array([0, 2]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), with_it, without)
