"""Inner products over pytrees, in the precision of their leaves."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar


def vdot(left: PyTree, right: PyTree) -> Scalar:
    """The inner product of two pytrees of the same structure."""
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), left, right)
    return jax.tree.reduce(jnp.add, products, jnp.zeros(()))


def sum_of_squares(tree: PyTree) -> Scalar:
    """The squared Euclidean norm of a pytree."""
    return vdot(tree, tree)


def add_scaled(params: PyTree, scale: Scalar, direction: PyTree) -> PyTree:
    """`params + scale * direction`; every leaf keeps its dtype."""
    return jax.tree.map(lambda p, d: p + (scale * d).astype(p.dtype), params, direction)
