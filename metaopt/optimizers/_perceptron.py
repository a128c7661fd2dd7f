"""Small networks of a learned rule, which cost nothing while they say nothing."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

Perceptron = tuple[tuple[Array, Array], tuple[Array, Array]]  # kernel and bias of two layers


def silent_perceptron(key: Array, inputs: int, hidden: int, outputs: int) -> Perceptron:
    """Random hidden units, and outputs of zero."""
    kernel = jax.random.normal(key, (hidden, inputs)) / math.sqrt(inputs)
    return (kernel, jnp.zeros(hidden)), (jnp.zeros((outputs, hidden)), jnp.zeros(outputs))


def unless_silent(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """A function of a perceptron, and of more, that is zero where the last layer is.

    It is not evaluated there. Its derivative is as it was, so that a perceptron learns to speak.
    """

    def evaluated(perceptron: Perceptron, *rest: PyTree) -> PyTree:
        silence = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(function, perceptron, *rest),
        )
        kernel, bias = perceptron[-1]
        speaks = jnp.any(kernel != 0) | jnp.any(bias != 0)
        return jax.lax.cond(speaks, function, lambda *_: silence, perceptron, *rest)

    differentiable = jax.custom_jvp(evaluated)
    differentiable.defjvp(lambda primals, tangents: jax.jvp(function, primals, tangents))
    return functools.wraps(function)(differentiable)
