"""Whether a picture shows anything, and whether parameters can be computed with."""

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


def usable(params: PyTree) -> Bool[Array, ""]:
    """Whether all numbers of a pytree are finite, with room for what is computed from them."""
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)
    leaves = [leaf for leaf in jax.tree.leaves(params) if floating(leaf)]
    fine = [jnp.max(jnp.abs(leaf)) < _MOST for leaf in leaves]  # and no NaN, which is the max
    return jnp.all(jnp.stack(fine)) if fine else jnp.array(True)
