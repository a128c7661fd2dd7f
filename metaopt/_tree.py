"""Inner products and scales over pytrees, in float32 at least."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar


def vdot(left: PyTree, right: PyTree) -> Scalar:
    """The inner product of two pytrees of the same structure, summed in float32 at least."""
    products = jax.tree.map(lambda a, b: jnp.sum(_wide(a) * _wide(b)), left, right)
    return jax.tree.reduce(jnp.add, products, jnp.zeros(()))


def sum_of_squares(tree: PyTree) -> Scalar:
    """The squared Euclidean norm of a pytree."""
    return vdot(tree, tree)


def add_scaled(params: PyTree, scale: Scalar, direction: PyTree) -> PyTree:
    """`params + scale * direction`; every leaf keeps its dtype."""
    return jax.tree.map(lambda p, d: p + (scale * d).astype(p.dtype), params, direction)


def same_structure(left: PyTree, right: PyTree) -> bool:
    """Whether the trees are of one structure, whatever their leaves."""
    structures: list[Any] = [jax.tree.structure(tree) for tree in (left, right)]
    return bool(structures[0] == structures[1])


def normalized(tree: PyTree) -> tuple[Scalar, PyTree]:
    """A power of two s and the tree divided by it, so that its largest magnitude is about 1.

    No rounding, and s counts as a constant in derivatives. Squares of what is left neither overflow
    nor underflow. For a tree of zeros s is 1.
    """
    largest = [jnp.max(jnp.abs(_wide(leaf)), initial=0) for leaf in jax.tree.leaves(tree)]
    _, exponent = jnp.frexp(jax.lax.stop_gradient(jnp.max(jnp.stack(largest))))
    # Beyond, the reciprocal of the power itself would not be finite.
    scale = jnp.ldexp(jnp.ones((), largest[0].dtype), jnp.clip(exponent, -126, 126))
    return scale, jax.tree.map(lambda leaf: (_wide(leaf) / scale).astype(leaf.dtype), tree)


@jax.custom_jvp
def ratio(numerator: Scalar, denominator: Scalar) -> Scalar:
    """The quotient, with a derivative that squares nothing: (dn - ratio * dd) / d."""
    return numerator / denominator


@ratio.defjvp
def _ratio_derivative(
    primals: tuple[Scalar, Scalar], tangents: tuple[Scalar, Scalar]
) -> tuple[Scalar, Scalar]:
    (numerator, denominator), (along_numerator, along_denominator) = primals, tangents
    value = ratio(numerator, denominator)
    return value, ratio(along_numerator - value * along_denominator, denominator)


def _wide(leaf: Array) -> Array:
    """In float32 at least."""
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
