"""ROAM's rule against flax's cells, its golden values, and its recursion written out."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from metaopt.optimizers.coordinatewise_rnn import log_preprocess

PARAMS = {"w": jnp.array([[1.0, -2.0], [0.5, 0.1]]), "b": jnp.array(3.0)}
CURVATURE = {"w": jnp.array([[1.0, 2.0], [0.5, 4.0]]), "b": jnp.array(0.2)}
QUADRATIC = metaopt.ScalarLoss(
    lambda p, c: 0.5 * sum(jax.tree.leaves(jax.tree.map(lambda x, y: jnp.sum(y * x**2), p, c)))
)


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [
        (1e-2, (-0.460507, 1)),
        (1e-4, (-0.920039, 1)),
        (1e-5, (-1, 0.220265)),
        (-0.5, (-0.069315, -1)),
        (0.0, (-1, 0)),
    ],
)
def test_log_preprocessing(gradient, expected):
    pair = log_preprocess(jnp.array([gradient]))
    np.testing.assert_allclose(jnp.concatenate(pair), expected, atol=1e-6)


@jax.jit
def network(rule, inputs, memory):
    return rule.network(inputs, memory)


@jax.jit
def flax_lstm(rule, inputs):
    """The emitted value over time, of flax's cell with the rule's weights."""
    names = "ifgo"
    stacked = []
    for layer in rule.stack:
        hidden = layer.kernel.shape[0] // 4
        kernels, biases = jnp.split(layer.kernel, 4), jnp.split(layer.bias, 4)
        variables = {
            **{f"i{n}": {"kernel": k[:, :-hidden].T} for n, k in zip(names, kernels, strict=True)},
            **{
                f"h{n}": {"kernel": k[:, -hidden:].T, "bias": b}
                for n, k, b in zip(names, kernels, biases, strict=True)
            },
        }
        stacked.append((nn.OptimizedLSTMCell(hidden), {"params": variables}))
    carries = [(jnp.zeros((inputs.shape[2], 20)),) * 2 for _ in stacked]
    outputs = []
    for x in inputs:
        x = x.T
        for index, (cell, variables) in enumerate(stacked):
            carries[index], x = cell.apply(variables, carries[index], x)
        outputs.append((x @ rule.head.kernel.T + rule.head.bias)[:, 0])
    return jnp.stack(outputs)


def rest(rule, coordinates):
    return rule.init(jnp.zeros(coordinates)).memory


def test_the_two_layer_lstm_is_flax_s_on_the_same_weights():
    rule = metaopt.CoordinatewiseRNN("lstm", key=jax.random.key(3))
    inputs = jax.random.normal(jax.random.key(0), (4, 5, 7))
    memory, emitted = rest(rule, 7), []
    for x in inputs:
        value, memory = network(rule, x, memory)
        emitted.append(value)
    np.testing.assert_allclose(jnp.stack(emitted), flax_lstm(rule, inputs), atol=2e-6)


def test_the_gru_layer_is_that_of_cho_et_al():
    rule = metaopt.CoordinatewiseRNN("gru", layers=1, key=jax.random.key(3))
    inputs = np.asarray(jax.random.normal(jax.random.key(0), (3, 5, 7)))
    kernel, bias = np.asarray(rule.stack[0].kernel), np.asarray(rule.stack[0].bias)[:, None]
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    memory, h = rest(rule, 7), np.zeros((20, 7), np.float32)
    for x in inputs:
        value, memory = network(rule, jnp.asarray(x), memory)
        xh = np.concatenate([x, h])
        r = sigmoid(kernel[:20] @ xh + bias[:20])
        z = sigmoid(kernel[20:40] @ xh + bias[20:40])
        new = np.tanh(kernel[40:] @ np.concatenate([x, r * h]) + bias[40:])
        h = z * h + (1 - z) * new
        expected = (np.asarray(rule.head.kernel) @ h + np.asarray(rule.head.bias))[0]
        np.testing.assert_allclose(value, expected, atol=2e-6)


def test_the_mlp_is_two_tanh_layers_without_memory():
    rule = metaopt.CoordinatewiseRNN("mlp")
    x = jax.random.normal(jax.random.key(0), (5, 7))
    value, memory = rule.network(x, rest(rule, 7))
    assert not jax.tree.leaves(memory)
    for layer in rule.stack:
        x = jnp.tanh(layer.kernel @ x + layer.bias[:, None])
    np.testing.assert_allclose(value, (rule.head.kernel @ x + rule.head.bias)[0], atol=1e-6)


def test_sizes_and_initial_values_are_those_of_the_published_code():
    rule = metaopt.CoordinatewiseRNN("lstm")
    shapes = [(layer.kernel.shape, layer.bias.shape) for layer in rule.stack]
    assert shapes == [((80, 25), (80,)), ((80, 40), (80,))]
    np.testing.assert_array_equal(rule.head.bias, [-10.0])
    np.testing.assert_allclose(rule.initial_rates, 4.53979e-5, rtol=1e-4)
    assert max(jnp.abs(layer.kernel).max() for layer in rule.stack) <= 20**-0.5


def test_a_fit_follows_the_paper_s_recursion():
    """Algorithm 1: learned rates first, then rates from the network, each over all coordinates."""
    initial = {"w": jnp.full((2, 2), 0.1), "b": jnp.array(0.3)}
    rule = metaopt.CoordinatewiseRNN(scale=0.5, initial_rates=initial, bias=-1.0)
    result = metaopt.fit(rule, QUADRATIC, PARAMS, CURVATURE, steps=3)
    theta, unravel = jax.flatten_util.ravel_pytree(PARAMS)
    curvature, _ = jax.flatten_util.ravel_pytree(CURVATURE)
    rates, _ = jax.flatten_util.ravel_pytree(initial)

    @jax.jit
    def recursion(rule, theta, rates):
        memory = rule.init(PARAMS).memory
        for step in range(3):
            gradient, loss = curvature * theta, 0.5 * jnp.sum(curvature * theta**2)
            if step:
                large = jnp.abs(gradient) > np.exp(-10)
                size = jnp.where(large, jnp.log(jnp.abs(gradient) + 1e-6) / 10, -1)
                sign = jnp.where(large, jnp.sign(gradient), np.exp(10) * gradient)
                inputs = jnp.stack([rates / 0.5, size, sign, theta, jnp.full(5, loss)])
                raw, memory = rule.network(inputs, memory)
                rates = 0.5 * jax.nn.sigmoid(raw)
            theta = theta - rates * gradient
        return theta, rates

    theta, rates = recursion(rule, theta, rates)
    expected = unravel(theta)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), result.params, expected)
    np.testing.assert_allclose(result.state.emitted, rates, rtol=1e-5)


def test_rates_stay_within_the_bound_whatever_the_weights():
    rule = metaopt.CoordinatewiseRNN("lstm", scale=0.3, bias=0.0)
    wild = rule.replace(stack=jax.tree.map(lambda leaf: 100 * leaf, rule.stack))
    state = metaopt.fit(wild, QUADRATIC, PARAMS, CURVATURE, steps=3).state
    assert (state.emitted > 0).all() and (state.emitted < 0.3).all()


def test_initial_rates_may_be_a_prefix_of_the_params_and_get_a_gradient():
    def final(rates):
        rule = metaopt.CoordinatewiseRNN(initial_rates=rates)
        return metaopt.fit(rule, QUADRATIC, PARAMS, CURVATURE, steps=1).params["b"]

    slopes = jax.grad(final)({"w": 0.1, "b": 0.2})
    np.testing.assert_allclose(slopes["b"], -0.2 * 3.0, rtol=1e-6)
    assert slopes["w"] == 0.0


def test_an_update_is_what_the_network_emits_times_the_scale():
    rule = metaopt.CoordinatewiseRNN("lstm", output="update", scale=0.01)
    moved = metaopt.fit(rule, QUADRATIC, PARAMS, CURVATURE, steps=1).params["b"]
    state = rule.init(PARAMS)
    gradient, loss = 0.2 * 3.0, QUADRATIC.loss(PARAMS, CURVATURE)
    inputs = jnp.array([[0.0], [np.log(gradient + 1e-6) / 10], [1.0], [3.0], [loss]])
    memory = jax.tree.map(lambda leaf: leaf[:, :1], state.memory)
    raw, _ = rule.network(inputs, memory)
    np.testing.assert_allclose(moved, 3.0 + 0.01 * raw[0], rtol=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("cell", ["lstm", "gru", "mlp"])
def test_meta_training_a_direct_update_beats_its_start(cell):
    """Andrychowicz et al., section 3.1, in small: random quadratics."""

    def outer(rule, key):
        matrix, target = jax.random.normal(key, (5, 5)), jax.random.normal(key, (5,))
        objective = metaopt.LeastSquares(lambda p, _: matrix @ p - target)
        return metaopt.fit(rule, objective, jnp.zeros(5), (), steps=8).losses.mean()

    # Without the clipping, one divergent inner loop undoes the training.
    transformation = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.01))
    rule = metaopt.CoordinatewiseRNN(cell, output="update", scale=0.1)
    mean = lambda rule, keys: jax.vmap(outer, (None, 0))(rule, keys).mean()

    def train(carry, key):
        rule, state = carry
        gradient = jax.grad(mean)(rule, jax.random.split(key, 8))
        updates, state = transformation.update(gradient, state)
        return (optax.apply_updates(rule, updates), state), None

    keys = jax.random.split(jax.random.key(1), 80)
    run = jax.jit(functools.partial(jax.lax.scan, train))
    (trained, _), _ = run((rule, transformation.init(rule)), keys)
    held_out = jax.random.split(jax.random.key(2), 64)
    assert mean(trained, held_out) < 0.5 * mean(rule, held_out)


@pytest.mark.parametrize("bad", [{"cell": "rnn"}, {"output": "step"}])
def test_unknown_choices_list_the_known(bad):
    with pytest.raises(ValueError, match="known are"):
        metaopt.CoordinatewiseRNN(**bad)


def test_a_fit_on_other_shapes_takes_the_same_weights():
    rule = metaopt.CoordinatewiseRNN("gru", scale=0.1)
    for shape in [(3,), (2, 4)]:
        objective = metaopt.ScalarLoss(lambda p, _: jnp.sum(p**2))
        assert metaopt.fit(rule, objective, jnp.ones(shape), (), steps=2).params.shape == shape


@pytest.mark.parametrize("scaled", [False, True])
def test_a_step_evaluates_the_objective_once(scaled):
    evaluations = []

    def loss(params, batch):
        evaluations.append(params)
        return jnp.sum(params**2)

    rule = metaopt.CoordinatewiseRNN("gru", size=2, layers=1)
    params = jnp.ones(3)
    if scaled:
        rule = metaopt.RandomScaling(rule, params, jax.random.key(0), 1.0)
    jax.eval_shape(rule.step, metaopt.ScalarLoss(loss), params, rule.init(params), ())
    assert len(evaluations) == 1


class Field(metaopt.Objective):
    """Its gradient is not that of its loss."""

    def loss(self, params, batch):
        return jnp.sum(params**2)

    def gradient(self, params, batch):
        return jnp.array([3.0, -1.0])


def test_the_gradient_is_the_objectives_own():
    value, gradient = Field().value_and_gradient(jnp.array([1.0, 2.0]), ())
    assert value == 5.0
    np.testing.assert_array_equal(gradient, [3.0, -1.0])
    rule = metaopt.CoordinatewiseRNN(initial_rates=0.5)
    params, _ = rule.step(Field(), jnp.array([1.0, 2.0]), rule.init(jnp.ones(2)), ())
    np.testing.assert_allclose(params, [-0.5, 2.5])
