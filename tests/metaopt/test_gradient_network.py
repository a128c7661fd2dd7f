"""GradNet's rule against plain convolutions and its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt

SHAPES = {"template": (6, 5, 4), "batch": (2, 4, 4, 3), "w": (7, 3), "b": (9,), "s": ()}
PARAMS = {
    name: jnp.asarray(np.random.default_rng(index).normal(size=shape), jnp.float32)
    for index, (name, shape) in enumerate(SHAPES.items())
}
# The gradient of half the sum of squares is the params.
QUADRATIC = metaopt.ScalarLoss(
    lambda p, _: 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(p))
)


def randomized(rule):
    layers, structure = jax.tree.flatten(rule.layers)
    keys = jax.random.split(jax.random.key(7), len(layers))
    random = [0.3 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, layers, strict=True)]
    return rule.replace(layers=jax.tree.unflatten(structure, random))


def plain_conv(x, layer):
    n, (h, w, c) = x.shape[:-3], x.shape[-3:]
    y = jax.lax.conv_general_dilated(
        x.reshape(-1, h, w, c), layer.kernel.reshape(3, 3, c, c), (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    return y.reshape(*n, h, w, c) + layer.bias


REFERENCE = {
    "template": plain_conv,
    "batch": plain_conv,
    "w": lambda x, layer: x @ layer.kernel + layer.bias,
    "b": lambda x, layer: layer.kernel * x + layer.bias,
    "s": lambda x, layer: layer.kernel * x + layer.bias,
}


@pytest.mark.parametrize("steps", [1, 3])
def test_each_step_adds_the_bounded_output_of_the_layer(steps):
    rule = randomized(metaopt.GradientNetwork(PARAMS, gradient_scale=0.5, bound=0.2))
    result = metaopt.fit(rule, QUADRATIC, PARAMS, (), steps=steps)
    for name, apply in REFERENCE.items():
        expected = PARAMS[name]
        for _ in range(steps):
            change = apply(0.5 * expected, rule.layers[name])
            expected = expected + 0.2 * jnp.tanh(change / 0.2)
        np.testing.assert_allclose(result.params[name], expected, atol=1e-5)


def test_the_default_is_gradnet_s_scale_and_bound():
    params = PARAMS["template"]
    rule = randomized(metaopt.GradientNetwork(params))
    objective = metaopt.ScalarLoss(lambda p, _: 0.5e-4 * jnp.sum(p**2))
    moved = metaopt.fit(rule, objective, params, (), steps=1).params
    expected = params + jnp.tanh(plain_conv(params, rule.layers))
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


def test_untrained_it_is_gradient_descent_with_bounded_steps():
    rule = metaopt.GradientNetwork(PARAMS, gradient_scale=1e-3)
    small = metaopt.fit(rule, QUADRATIC, PARAMS, (), steps=1).params
    jax.tree.map(lambda a, p: np.testing.assert_allclose(a, p * 0.999, rtol=1e-5), small, PARAMS)
    wild = metaopt.fit(
        metaopt.GradientNetwork(PARAMS, gradient_scale=1e6, bound=0.1), QUADRATIC, PARAMS, (),
        steps=1,
    ).params  # fmt: skip
    jax.tree.map(
        lambda a, p: np.testing.assert_allclose(a - p, -0.1 * jnp.sign(p), atol=1e-5), wild, PARAMS
    )


def test_kinds_may_be_chosen_by_leaf():
    params = {"kernel": jnp.ones((3, 3, 4, 2)), "b": jnp.ones(5)}
    rule = metaopt.GradientNetwork(params, kinds={"kernel": "coordinate", "b": "dense"})
    assert rule.layers["kernel"].kernel.shape == () and rule.layers["b"].kernel.shape == (5, 5)
    shared = metaopt.GradientNetwork(params, kinds="coordinate")
    assert len(jax.tree.leaves(shared.layers)) == 4


@pytest.mark.parametrize(("kind", "message"), [("conv", r"3 axes.*\(5,\)"), ("fft", "'fft'")])
def test_a_kind_that_does_not_fit_is_refused(kind, message):
    with pytest.raises(ValueError, match=message):
        metaopt.GradientNetwork(jnp.ones(5), kinds=kind)
