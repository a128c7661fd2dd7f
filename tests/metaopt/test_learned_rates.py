"""Learned rates: closed forms on a quadratic, and MetaRTT's two sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt

PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.array(3.0)}
CURVATURE = {"w": jnp.array([1.0, 3.0]), "b": jnp.array(0.5)}
QUADRATIC = metaopt.ScalarLoss(
    lambda p, c: 0.5 * sum(jax.tree.leaves(jax.tree.map(lambda x, y: jnp.sum(y * x**2), p, c)))
)
SHAPES = {
    "parameter": {"w": (3, 2), "b": (3,)},
    "tensor": {"w": (3, 1), "b": (3,)},
    "scalar": (3,),
}


def random_rates(granularity):
    rule = metaopt.LearnedRates(PARAMS, steps=3, granularity=granularity)
    vector, unravel = jax.flatten_util.ravel_pytree(rule.rates)
    rates = unravel(jax.random.uniform(jax.random.key(0), vector.shape, minval=-0.1, maxval=0.4))
    return rule.replace(rates=rates)


@pytest.mark.parametrize("granularity", SHAPES)
def test_rates_have_the_shape_of_their_granularity_and_start_at_the_initial_one(granularity):
    rule = metaopt.LearnedRates(PARAMS, steps=3, granularity=granularity, initial_rate=0.2)
    is_shape = lambda node: isinstance(node, tuple)
    expected = jax.tree.map(lambda shape: jnp.full(shape, 0.2), SHAPES[granularity],
                            is_leaf=is_shape)  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, rule.rates, expected)


@pytest.mark.parametrize("steps", [2, 3, 5])
@pytest.mark.parametrize("granularity", SHAPES)
def test_each_step_takes_its_rates_and_the_last_ones_repeat(granularity, steps):
    rule = random_rates(granularity)
    result = metaopt.fit(rule, QUADRATIC, PARAMS, CURVATURE, steps=steps)
    for name, start in PARAMS.items():
        rates = rule.rates if granularity == "scalar" else rule.rates[name]
        expected = start
        for k in range(steps):
            expected = expected * (1 - rates[min(k, 2)] * CURVATURE[name])
        np.testing.assert_allclose(result.params[name], expected, rtol=1e-5)


def test_meta_gradients_of_rates_and_initial_params_have_their_closed_form():
    def final(rule, params):
        return metaopt.fit(rule, QUADRATIC, params, CURVATURE, steps=3).params["b"]

    rule = random_rates("parameter")
    by_rule, by_params = jax.grad(final, (0, 1))(rule, PARAMS)
    decay = 1 - rule.rates["b"] * CURVATURE["b"]
    np.testing.assert_allclose(by_params["b"], jnp.prod(decay), rtol=1e-5)
    expected = -CURVATURE["b"] * PARAMS["b"] * jnp.prod(decay) / decay
    np.testing.assert_allclose(by_rule.rates["b"], expected, rtol=1e-5)
    assert (by_rule.rates["w"] == 0).all() and (by_params["w"] == 0).all()


def test_two_sets_for_the_first_frame_and_online_adaptation_learn_apart():
    """MetaRTT's outer loss: the query after the first fit, and after the online one on top."""
    query = lambda params: jnp.sum((params["w"] - 1.0) ** 2)

    def outer(meta):
        fit = lambda rule, params, steps: (
            metaopt.fit(rule, QUADRATIC, params, CURVATURE, steps=steps).params
        )
        first = fit(meta["rates"], meta["params"], 2)
        online = fit(meta["online_rates"], first, 3)
        return query(first) + query(online)

    sets = [metaopt.LearnedRates(PARAMS, steps=k, initial_rate=0.1) for k in (2, 3)]
    meta = {"params": PARAMS, "rates": sets[0], "online_rates": sets[1]}
    gradient = jax.grad(outer)(meta)
    c, x = CURVATURE["w"], PARAMS["w"]
    decay = 1 - 0.1 * c
    by_first, by_online = 2 * (decay**2 * x - 1), 2 * (decay**5 * x - 1)
    online = -by_online * c * x * decay**4
    np.testing.assert_allclose(gradient["online_rates"].rates["w"], [online] * 3, rtol=1e-4)
    both = -by_first * c * x * decay + online
    np.testing.assert_allclose(gradient["rates"].rates["w"], [both] * 2, rtol=1e-4)
    start = by_first * decay**2 + by_online * decay**5
    np.testing.assert_allclose(gradient["params"]["w"], start, rtol=1e-4)


def test_a_fit_from_a_state_counts_on():
    rule = random_rates("scalar")
    whole = metaopt.fit(rule, QUADRATIC, PARAMS, CURVATURE, steps=3)
    part = metaopt.fit(rule, QUADRATIC, PARAMS, CURVATURE, steps=1)
    rest = metaopt.fit(rule, QUADRATIC, part.params, CURVATURE, steps=2, state=part.state)
    jax.tree.map(np.testing.assert_array_equal, whole.params, rest.params)


def test_rates_of_bfloat16_params_are_float32():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS)
    assert metaopt.LearnedRates(params, steps=1).rates["w"].dtype == jnp.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 0}, "1 step or more, not 0"), ({"steps": 1, "granularity": "layer"}, "'layer'")],
)
def test_wrong_arguments_raise_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        metaopt.LearnedRates(PARAMS, **options)
