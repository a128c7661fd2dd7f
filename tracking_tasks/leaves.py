"""The leaves of a tracker by name: for checkpoints, and to choose what is meta-trained."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from tracking_tasks.trackers import Tracker


def named_leaves(tracker: Tracker) -> dict[str, jax.Array]:
    """All leaves, the backbone's too, by their path, such as `head.projection`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tracker)
    return {_name(path): leaf for path, leaf in leaves}


def with_leaves(tracker: Tracker, leaves: Mapping[str, ArrayLike]) -> Tracker:
    """The tracker with some of its leaves replaced, which keep their types."""

    def choose(path: tuple, leaf: jax.Array) -> jax.Array:
        name = _name(path)
        return jnp.asarray(leaves[name], leaf.dtype) if name in leaves else leaf

    return jax.tree_util.tree_map_with_path(choose, tracker)


def is_part(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a leaf is one of `parts` or lies inside one, as `head.projection` does in `head`."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
