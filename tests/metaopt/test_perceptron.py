"""A perceptron that says nothing costs nothing, and learns to speak all the same."""

import jax
import jax.numpy as jnp
import numpy as np

from metaopt.optimizers._perceptron import silent_perceptron, unless_silent


def plain(perceptron, x):
    (kernel, bias), (last_kernel, last_bias) = perceptron
    return jnp.tanh(x @ kernel.T + bias) @ last_kernel.T + last_bias


def test_it_begins_silent():
    (kernel, bias), last = silent_perceptron(jax.random.key(0), 50, 40, 3)
    np.testing.assert_allclose(kernel.std(), 1 / 50**0.5, rtol=0.05)
    assert kernel.shape == (40, 50) and not bias.any()
    assert [leaf.shape for leaf in last] == [(3, 40), (3,)] and not any(map(jnp.any, last))


def test_a_silent_one_is_not_evaluated_and_one_that_speaks_is():
    evaluated = []
    function = unless_silent(
        lambda perceptron, x: jax.debug.callback(evaluated.append, x.sum()) or plain(perceptron, x)
    )
    silent = silent_perceptron(jax.random.key(0), 2, 4, 3)
    x = jnp.ones((5, 2))
    np.testing.assert_array_equal(jax.jit(function)(silent, x), np.zeros((5, 3)))
    jax.effects_barrier()
    assert not evaluated
    for part in ((jnp.ones((3, 4)), jnp.zeros(3)), (jnp.zeros((3, 4)), jnp.array([0, 2.0, 0]))):
        speaking = (silent[0], part)
        np.testing.assert_allclose(jax.jit(function)(speaking, x), plain(speaking, x), rtol=1e-6)
    jax.effects_barrier()
    assert len(evaluated) == 2


def test_the_derivatives_of_a_silent_one_are_those_of_the_function():
    silent = silent_perceptron(jax.random.key(0), 2, 4, 3)
    x, weights = jnp.array([[0.5, -1.0]]), jnp.array([1.0, 2.0, -1.0])
    loss = lambda function: lambda perceptron: function(perceptron, x)[0] @ weights
    found = jax.grad(loss(unless_silent(plain)))(silent)
    (kernel, _), _ = silent
    np.testing.assert_allclose(found[1][1], weights)
    np.testing.assert_allclose(found[1][0], jnp.outer(weights, jnp.tanh(x[0] @ kernel.T)))
    for leaf, expected in zip(
        jax.tree.leaves(found), jax.tree.leaves(jax.grad(loss(plain))(silent)), strict=True
    ):
        np.testing.assert_allclose(leaf, expected)
