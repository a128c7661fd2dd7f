"""Model state and auxiliary output: once a step, the same under every adjoint, differentiable."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import metaopt
from tests.products import chosen

RULE = metaopt.GradientDescent(optax.sgd(0.1))
ADJOINTS = [
    metaopt.Unrolled(),
    metaopt.Unrolled(remat=False),
    metaopt.Unrolled(mixed_mode=True),
    metaopt.FirstOrder(),
    metaopt.Truncated(2),
    metaopt.Implicit(unconverged="ignore"),
]


def moving_target(params, mean, batch):
    """The params chase a running mean of the batch, which moves once a step."""
    mean = 0.5 * mean + 0.5 * batch
    return 0.5 * jnp.sum((params - mean) ** 2), mean, {"mean": mean}


def by_hand(start, mean, batch, steps):
    params, means = start, []
    for _ in range(steps):
        mean = 0.5 * mean + 0.5 * batch
        means.append(mean)
        params = params - 0.1 * (params - mean)
    return params, mean, [*means, 0.5 * mean + 0.5 * batch]


@pytest.mark.parametrize(
    ("steps", "adjoint"),
    chosen(
        itertools.product((0, 5), ADJOINTS),
        [(0, ADJOINTS[0]), *((5, ADJOINTS[index]) for index in (0, 3, 4, 5))],
    ),
    ids=str,
)
def test_the_state_moves_once_a_step(steps, adjoint):
    objective = metaopt.Stateful(moving_target)
    start, mean, batch = jnp.array([1.0, -1.0]), jnp.zeros(2), jnp.array([2.0, 4.0])
    fitted = metaopt.fit(
        RULE, objective, start, batch, steps=steps, adjoint=adjoint, model_state=mean
    )
    params, last, means = by_hand(start, mean, batch, steps)
    np.testing.assert_allclose(fitted.params, params, rtol=1e-6)
    np.testing.assert_allclose(fitted.model_state, last, rtol=1e-6)
    np.testing.assert_allclose(fitted.aux["mean"], jnp.stack(means), rtol=1e-6)
    assert fitted.losses.shape == (steps + 1,)


@pytest.mark.parametrize(("adjoint",), chosen(zip(ADJOINTS[:3]), [(ADJOINTS[2],)]), ids=str)
def test_the_derivative_goes_through_the_state(adjoint):
    start, mean = jnp.array([1.0, -1.0]), jnp.array([0.3, 0.1])
    objective = metaopt.Stateful(moving_target)
    fit = lambda mean, batch: metaopt.fit(
        RULE, objective, start, batch, steps=4, adjoint=adjoint, model_state=mean
    ).params.sum()
    hand = lambda mean, batch: by_hand(start, mean, batch, 4)[0].sum()
    batch = jnp.array([2.0, 4.0])
    expected = jax.grad(hand, (0, 1))(mean, batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
        jax.grad(fit, (0, 1))(mean, batch),
        expected,
    )


def test_truncation_cuts_the_state_with_the_params():
    objective = metaopt.Stateful(moving_target)
    fit = lambda batches: (
        metaopt.fit(
            RULE, objective, jnp.zeros(()), batches=batches, steps=4,
            adjoint=metaopt.Truncated(1), model_state=jnp.zeros(()),
        ).params
    )  # fmt: skip
    np.testing.assert_allclose(jax.grad(fit)(jnp.ones(4)), [0, 0, 0, 0.05], atol=1e-7)


def test_least_squares_with_state_has_curvature():
    def residuals(params, count, batch):
        return batch * (params - 1.0) * (1 + 0 * count), count + 1, None

    objective = metaopt.Stateful(residuals, metaopt.LeastSquares)
    fitted = metaopt.fit(
        metaopt.SteepestDescent(), objective, jnp.zeros(2), jnp.ones(2), steps=2,
        model_state=jnp.zeros((), jnp.int32),
    )  # fmt: skip
    np.testing.assert_allclose(fitted.params, 1.0, rtol=1e-6)
    assert fitted.model_state == 2 and fitted.aux is None


class Net(nnx.Module):
    def __init__(self, rngs):
        self.cell = nnx.OptimizedLSTMCell(2, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
        carry = self.cell.initialize_carry(x.shape, nnx.Rngs(0))
        for _ in range(2):
            carry, hidden = self.cell(carry, x)
        return self.head(self.dropout(self.norm(hidden)))


@pytest.mark.full
def test_a_flax_module_with_dropout_batchnorm_and_a_cell_by_the_two_lines_of_the_docs():
    graphdef, params, model_state = nnx.split(Net(nnx.Rngs(0)), nnx.Param, ...)

    def loss(params, model_state, batch):
        module = nnx.merge(graphdef, params, model_state)
        value = jnp.mean((module(batch) - 1) ** 2)
        return value, nnx.state(module, nnx.Not(nnx.Param)), {"value": value}

    x = jax.random.normal(jax.random.key(1), (6, 2))
    fitted = metaopt.fit(RULE, metaopt.Stateful(loss), params, x, steps=3, model_state=model_state)
    expected, state = params, model_state

    def by_hand(params, model_state):
        # flax changes only what the trace around it has made: hence the argument
        value, model_state, _ = loss(params, model_state, x)
        return value, model_state

    for _ in range(3):
        run = jax.value_and_grad(
            lambda p, s: by_hand(p, jax.tree.map(jnp.asarray, s)), has_aux=True
        )
        (_, state), slope = run(expected, state)
        expected = jax.tree.map(lambda p, g: p - 0.1 * g, expected, slope)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, fitted.params, expected)
    counts = lambda s: [leaf for leaf in jax.tree.leaves(s) if leaf.dtype == jnp.uint32]
    jax.tree.map(close, counts(fitted.model_state), counts(state))
    assert int(counts(state)[0]) > int(counts(model_state)[0])
    close(fitted.model_state["norm"]["mean"][...], state["norm"]["mean"][...])


class Layers(nnx.Module):
    def __init__(self):
        self.norm = nnx.BatchNorm(2, momentum=0.75, rngs=nnx.Rngs(0))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(1))


def test_each_step_has_a_dropout_of_its_own_and_moves_the_statistics_of_batchnorm():
    graphdef, params, model_state = nnx.split(Layers(), nnx.Param, ...)

    def loss(params, model_state, batch):
        module = nnx.merge(graphdef, params, model_state)
        kept = module.dropout(jnp.ones(24))
        value = jnp.mean(module.norm(batch)) * kept[0]
        return value, nnx.state(module, nnx.Not(nnx.Param)), kept

    x = jnp.array([[1.0, 2.0], [3.0, 6.0]])
    fitted = metaopt.fit(RULE, metaopt.Stateful(loss), params, x, steps=2, model_state=model_state)
    dropout = Layers().dropout
    np.testing.assert_array_equal(fitted.aux, [dropout(jnp.ones(24)) for _ in range(3)])
    assert not np.array_equal(fitted.aux[0], fitted.aux[1])
    mean, variance = (fitted.model_state["norm"][name][...] for name in ("mean", "var"))
    np.testing.assert_allclose(mean, (1 - 0.75**2) * np.array([2, 4]), rtol=1e-6)
    np.testing.assert_allclose(variance, 0.75**2 + (1 - 0.75**2) * np.array([1, 4]), rtol=1e-6)


@pytest.mark.parametrize("adjoint", [metaopt.Unrolled(), metaopt.FirstOrder()], ids=str)
def test_state_inside_the_params_never_moves_and_that_is_said(adjoint):
    net = nnx.BatchNorm(2, momentum=0.9, rngs=nnx.Rngs(0))
    objective = metaopt.ScalarLoss(lambda net, b: jnp.mean((net(b) - 1) ** 2))
    x = jnp.array([[1.0, 2.0], [3.0, 6.0]])
    with pytest.warns(UserWarning, match=r"\.mean\.value, \.var\.value.*metaopt.Stateful"):
        fitted = metaopt.fit(RULE, objective, net, x, steps=4, adjoint=adjoint)
    np.testing.assert_array_equal(fitted.params.mean[...], 0.0)
    np.testing.assert_array_equal(net.mean[...], 0.0)
    assert fitted.losses[-1] < fitted.losses[0]


def test_a_function_that_returns_too_little_or_another_state_is_refused():
    run = lambda function: metaopt.fit(
        RULE, metaopt.Stateful(function), jnp.zeros(2), (), steps=1, model_state=jnp.zeros(())
    )
    with pytest.raises(TypeError, match=r"must return \(value, model_state, aux\)"):
        run(lambda p, s, b: jnp.sum(p**2))
    with pytest.raises(TypeError, match=r"given float32\[\], returned int32\[\]"):
        run(lambda p, s, b: (jnp.sum(p**2), jnp.array(1), None))
