"""What may stand at the leaves of a tree that is moved along gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

_SPLIT = (
    "keep it out of the params (flax: graphdef, params, rest = nnx.split(module, nnx.Param, ...); "
    "equinox: params, rest = eqx.partition(module, eqx.is_inexact_array))"
)


def floating(params: PyTree, role: str = "params") -> PyTree:
    """The params with every leaf a floating array; Python's floats become arrays.

    Raises:
        TypeError: naming the leaf that is none, and what to do with it.
    """
    leaves, structure = jax.tree.flatten(params)
    arrays = [_array(leaf) for leaf in leaves]
    if any(array is None for array in arrays):
        paths, _ = jax.tree_util.tree_flatten_with_path(params)
        path, leaf = next(p for p, array in zip(paths, arrays, strict=True) if array is None)
        kind = str(leaf.dtype) if hasattr(leaf, "dtype") else type(leaf).__name__
        raise TypeError(
            f"leaf {role}{jax.tree_util.keystr(path)} is {kind}, and only floating arrays can be "
            f"fitted: {_SPLIT}, or make it a float."
        )
    return jax.tree.unflatten(structure, arrays)


def _array(leaf: Any) -> jax.Array | None:
    """The leaf as a strongly typed array, or None if it is not floating."""
    if isinstance(leaf, jax.Array):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return None
        return jnp.asarray(leaf, leaf.dtype) if leaf.weak_type else leaf
    if isinstance(leaf, np.ndarray | np.generic) and jnp.issubdtype(leaf.dtype, jnp.floating):
        return jnp.asarray(leaf)
    return jnp.asarray(leaf, float) if isinstance(leaf, float) else None


def in_words(value: Any) -> str:
    """What a function returned, as an error says it: "an array", whatever traces it."""
    return "an array" if isinstance(value, jax.Array) else type(value).__name__
