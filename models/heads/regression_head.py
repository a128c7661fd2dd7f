"""Two feature levels, reduced and fused by residual connections, and the filters on them.

Lu et al., "Deep Regression Tracking with Shrinkage Loss", ECCV 2018, section 3.3.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PyTree

from models.layers.correlation import correlate

Level = Float[Array, "n h w c"]
Levels = tuple[Float[Array, "n h w fine"], Float[Array, "n h w coarse"]]

# The maps that have a filter each; their responses are added up. A residual connection of features
# puts the coarse level into the fine one's map, that of responses adds a response of its own.
FUSIONS: dict[str, Callable[[Level, Level], tuple[Level, ...]]] = {
    "residual": lambda fine, coarse: (fine + coarse, coarse),
    "features": lambda fine, coarse: (fine + coarse,),
    "responses": lambda fine, coarse: (fine, coarse),
    "fine": lambda fine, coarse: (fine,),
    "coarse": lambda fine, coarse: (coarse,),
}


class RegressionHead(struct.PyTreeNode):
    """Reducers of the channels and target filters, all linear and without bias (the paper's eq. 1).

    The filters are stored sqrt(taps * channels) times as large as they act, so that a filter like
    the features of its target gives a response of about one, whatever their number.

    Attributes:
        fine: (c8, c), the 1x1 convolution of the finer level.
        coarse: (c16, c), that of the coarser one.
        filters: (k, k, maps * c), one filter a map of the fusion, side by side.
    """

    # Inner optimizers put shapes, or a rate for every step, in the place of the arrays.
    fine: PyTree
    coarse: PyTree
    filters: PyTree

    @classmethod
    def create(
        cls, key: Array, levels: tuple[int, int], channels: int, size: int, fusion: str
    ) -> "RegressionHead":
        """Random reducers that keep the scale of features, and filters of zeros.

        Args:
            key: of the reducers.
            levels: channels of the two levels.
            channels: after reduction.
            size: side of the filters in cells, odd.
            fusion: one of `FUSIONS`.
        """
        keys = jax.random.split(key)
        fine, coarse = (
            jax.random.normal(key, (before, channels)) / before**0.5
            for key, before in zip(keys, levels, strict=True)
        )
        maps = len(FUSIONS[fusion](jnp.zeros(0), jnp.zeros(0)))
        return cls(fine, coarse, jnp.zeros((size, size, maps * channels)))

    def maps(self, levels: Levels, fusion: str) -> Float[Array, "n h w m"]:
        """The maps that the filters work on, side by side; the levels have one resolution."""
        fine, coarse = levels
        return jnp.concatenate(FUSIONS[fusion](fine @ self.fine, coarse @ self.coarse), -1)

    def response(
        self, maps: Float[Array, "n h w m"], target: Float[Array, "2"]
    ) -> Float[Array, "n h w"]:
        """The sum of the responses to the filters, each as large as the target.

        Args:
            maps: as of `maps`.
            target: its width and height in cells, of which the part beyond the filters' side is
                not seen.
        """
        covered = coverage(target, self.filters.shape[0])[..., None]
        return correlate(maps, self.filters * covered * self.filters.size**-0.5)


def coverage(target: Float[Array, "2"], size: int) -> Float[Array, "size size"]:
    """The share of each cell of a `size` x `size` filter that lies on a target in its middle.

    It makes a filter of the target's size within a fixed shape: what it covers by nothing has no
    effect and a gradient of zero.

    Args:
        target: width and height in cells.
        size: side of the filter, odd.
    """
    edges = jnp.arange(size + 1) - size / 2
    across, down = (jnp.diff(jnp.clip(edges, -side / 2, side / 2)) for side in target)
    return down[:, None] * across[None, :]
