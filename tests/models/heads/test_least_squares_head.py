import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from models import MLP, LeastSquaresHead


def batch(samples, features, outputs):
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (samples, features))
    return x, jax.random.normal(keys[1], (samples, outputs))


@pytest.mark.parametrize(
    ("samples", "features"),
    [(4, 9), pytest.param(9, 4, marks=pytest.mark.full)],
    ids=["wide", "tall"],
)
def test_the_solution_is_the_minimum_of_the_objective(samples, features):
    with jax.enable_x64(True):
        head = LeastSquaresHead(regularization=0.3)
        objective, data = metaopt.LeastSquares(head), batch(samples, features, 2)
        solution = head.solution(data)
        np.testing.assert_allclose(objective.gradient(solution, data), 0, atol=1e-12)
        fitted = metaopt.fit(
            metaopt.SteepestDescent(), objective, jnp.zeros_like(solution), data, steps=400
        )
        np.testing.assert_allclose(fitted.params, solution, atol=1e-8)


def test_the_solution_has_the_derivative_of_the_minimum():
    """By the implicit function theorem, which knows nothing of the closed form."""
    with jax.enable_x64(True):
        head, (x, y) = LeastSquaresHead(regularization=0.3), batch(4, 6, 2)

        def by_implicit(head, x):
            weights = jax.lax.stop_gradient(head.solution((x, y)))
            fitted = metaopt.fit(
                metaopt.SteepestDescent(), metaopt.LeastSquares(head), weights, (x, y), steps=0,
                adjoint=metaopt.Implicit(tolerance=1e-12),
            )  # fmt: skip
            return jnp.sum(jnp.sin(head.predict(fitted.params, x)))

        in_closed_form = lambda head, x: jnp.sum(jnp.sin(head.predict(head.solution((x, y)), x)))
        same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
        jax.tree.map(
            same,
            jax.jit(jax.grad(in_closed_form, (0, 1)))(head, x),
            jax.jit(jax.grad(by_implicit, (0, 1)))(head, x),
        )


def test_the_last_row_is_the_bias_and_the_scale_multiplies():
    head = LeastSquaresHead(scale=3.0)
    weights = jnp.array([[1.0], [2.0], [0.5]])
    np.testing.assert_allclose(head.predict(weights, jnp.array([[1.0, 1.0]])), [[10.5]], rtol=1e-6)


def test_the_perceptron_is_its_definition():
    network = MLP(2, 3, hidden=(5,), key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (7, 2))
    hidden = np.maximum(x @ network.hidden[0].kernel[...] + network.hidden[0].bias[...], 0)
    np.testing.assert_allclose(network.features(x), hidden, rtol=1e-5)
    outputs = hidden @ network.last.kernel[...] + network.last.bias[...]
    np.testing.assert_allclose(network(x), outputs, rtol=1e-5, atol=1e-6)
