"""The leaves of a pytree by name: for checkpoints, and to choose what is meta-trained."""

from collections.abc import Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import PyTree

Tree = TypeVar("Tree", bound=PyTree)


def named_leaves(tree: PyTree) -> dict[str, jax.Array]:
    """All leaves by their path, such as `head.projection`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def with_leaves(tree: Tree, leaves: Mapping[str, ArrayLike]) -> Tree:
    """The tree with some of its leaves replaced, which keep their types."""

    def choose(path: tuple, leaf: jax.Array) -> jax.Array:
        name = _name(path)
        if name not in leaves:
            return leaf
        value = leaves[name]
        if isinstance(value, np.ndarray):  # `jnp.asarray` would compile a program for its shape
            return jax.device_put(value.astype(leaf.dtype, copy=False))
        return jnp.asarray(value, leaf.dtype)

    return jax.tree_util.tree_map_with_path(choose, tree)


def is_part(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a leaf is one of `parts` or lies inside one, as `head.projection` does in `head`."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
