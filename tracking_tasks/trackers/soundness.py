"""Whether a picture shows anything, and whether what is learned can be computed with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

_MOST = 1e15  # of a parameter: beyond, the squares of its responses leave the range of float32


def contrast(images: Float[Array, "n s s 3"]) -> Float[Array, ""]:
    """The largest standard deviation of a colour in an image."""
    n, height, width, colors = images.shape
    # From a value of its own, so that squares are small where there is no contrast. Row by row, as
    # XLA's sums over all but the three colours are several times slower on the CPU.
    offsets = (images - images[:, :1, :1]).reshape(n, height, width * colors)
    mean = lambda x: x.mean(1).reshape(n, width, colors).mean(1)
    return jnp.sqrt(jnp.max(mean(offsets**2) - mean(offsets) ** 2).clip(0.0))


def where_due(
    due: Bool[Array, ""] | bool, update: Callable[[PyTree], PyTree], before: PyTree
) -> tuple[PyTree, Bool[Array, ""]]:
    """`update(before)` where it is due and can be computed with, else `before`.

    A loop of one round or none, which leaves what it does not change in place: XLA copies the
    result of a condition, whichever way it goes, and some rules' states are megabytes.

    Args:
        due: whether there is an update.
        update: makes another pytree of the same shapes.
        before: a pytree of arrays.

    Returns:
        The pytree; and whether an update was undone.
    """

    def once(carry: tuple[PyTree, Array, Array]) -> tuple[PyTree, Array, Array]:
        before, *_ = carry
        after = update(before)
        sound = usable(after)
        keep = lambda new, old: jnp.where(sound, new, old)
        return jax.tree.map(keep, after, before), jnp.array(False), ~sound

    start = before, jnp.asarray(due), jnp.array(False)
    after, _, undone = jax.lax.while_loop(lambda carry: carry[1], once, start)
    return after, undone


def usable(params: PyTree) -> Bool[Array, ""]:
    """Whether all numbers of a pytree are finite, with room for what is computed from them."""
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)
    leaves = [leaf for leaf in jax.tree.leaves(params) if floating(leaf)]
    fine = [jnp.max(jnp.abs(leaf)) < _MOST for leaf in leaves]  # and no NaN, which is the max
    return jnp.all(jnp.stack(fine)) if fine else jnp.array(True)
