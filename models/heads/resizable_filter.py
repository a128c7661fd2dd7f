"""Filters of a fixed size that are warped to the shape of the target (ROAM, section 3.1)."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PyTree

from models.layers.correlation import correlate_all


def warp_filters(
    filters: Float[Array, "o k k c"], size: Float[Array, "2"], support: int
) -> Float[Array, "o s s c"]:
    """Resizes filters by bilinear interpolation, the corners kept in the corners.

    The operator W of Yang et al., "ROAM: Recurrently Optimizing Tracking Model", CVPR 2020, eq. 2
    and 3. The size may be traced: the result is the resized filters in the middle of a support of
    a fixed size, with zeros around them, so that one program serves all shapes.

    Args:
        filters: of a fixed size.
        size: width and height to resize to, odd integers in 1 .. support.
        support: side of the result, odd.
    """
    across, down = (_interpolation(filters.shape[1], length, support) for length in size)
    return jnp.einsum("si,tj,oijc->ostc", down, across, filters)


def _interpolation(cells: int, length: Float[Array, ""], support: int) -> Float[Array, "s k"]:
    """The weight of each cell in each place of the support, along one axis."""
    place = jnp.arange(support) - (support - length) / 2
    inside = (place >= 0) & (place <= length - 1)
    # A single place stands in the middle of the cells.
    spacing = (cells - 1) / jnp.maximum(length - 1, 1)
    source = jnp.where(length > 1, place * spacing, (cells - 1) / 2)
    hats = jnp.maximum(0, 1 - jnp.abs(source[:, None] - jnp.arange(cells)))
    return jnp.where(inside[:, None], hats, 0)


# How much the parts act, by what is stored. A gradient step of one rate for all then moves the
# outputs by filters most, which know the target's place, and by biases least, which do not.
_FILTERS, _REDUCER, _BIAS = 2.0, 0.3, 0.1


class ResizableHead(struct.PyTreeNode):
    """A reduction of the channels and filters that can be resized, without activation in between.

    The parameters are stored in units in which one rate suits them all, and filters of any size:
    they act times 2 / sqrt(taps * channels), the reducer times 0.3, biases times 0.1.

    Attributes:
        reducer: (features, c), the 1x1 convolution, from the features' channels to fewer.
        reducer_bias: (c,), its bias.
        filters: (o, k, k, c), one for each output.
        bias: (o,), of each output.
    """

    # Inner optimizers put shapes, keys, or a rate for every step in the place of the arrays.
    reducer: PyTree
    reducer_bias: PyTree
    filters: PyTree
    bias: PyTree

    @classmethod
    def create(
        cls, key: Array, features: int, channels: int, size: int, outputs: int
    ) -> "ResizableHead":
        """A random reducer that keeps the scale of features, and filters of zeros.

        Args:
            key: of the reducer.
            features: channels of the features.
            channels: after reduction.
            size: side of the filters.
            outputs: number of filters.
        """
        return cls(
            reducer=jax.random.normal(key, (features, channels)) / (_REDUCER * features**0.5),
            reducer_bias=jnp.zeros(channels),
            filters=jnp.zeros((outputs, size, size, channels)),
            bias=jnp.zeros(outputs),
        )

    def __call__(
        self, features: Float[Array, "n h w features"], size: Float[Array, "2"], support: int
    ) -> Float[Array, "o n h w"]:
        """The outputs at each cell, with zeros beyond the border.

        Args:
            features: feature maps.
            size: width and height of the warped filters, odd integers in 1 .. support.
            support: largest such size, odd.
        """
        reduced = features @ (_REDUCER * self.reducer) + _BIAS * self.reducer_bias
        scale = _FILTERS * self.filters[0].size ** -0.5
        warped = warp_filters(self.filters * scale, size, support)
        return correlate_all(reduced, warped) + _BIAS * self.bias[:, None, None, None]
