"""Correlation of a feature map with a target filter: the response every tracker here is built on.

A convolution with a single output channel. XLA's CPU backend runs that shape far below the speed
of the arithmetic, forward and backward, so `correlate` computes it as one matrix product (every
position with every filter tap) followed by shifted additions, along rows and then columns.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from models.layers.shifts import shifted_sum, windows


def correlate(
    features: Float[Array, "n h w c"], filter: Float[Array, "kh kw c"]
) -> Float[Array, "n oh ow"]:
    """Correlates feature maps with one filter, padded with k // 2 zeros on each side.

    An odd filter gives a response of the size of the map, centred on the filter's middle tap; an
    even one gives one more row and column, as in DiMP (Bhat et al., ICCV 2019), where response
    (i, j) belongs to the corner between feature cells (i - 1, j - 1) and (i, j).
    """
    n, h, w, channels = features.shape
    kh, kw, _ = filter.shape
    # The product first, shifts after: it is channels / (kh * kw) times smaller than the map.
    by_column = filter.transpose(1, 0, 2).reshape(kw * kh, channels)
    products = features.reshape(n * h * w, channels) @ by_column.T
    rows = shifted_sum(products.reshape(n, h, w, kw, kh), -2, kw // 2)
    return shifted_sum(rows[..., None], -3, kh // 2)[..., 0]


def correlate_all(
    features: Float[Array, "n h w c"], filters: Float[Array, "o k k c"]
) -> Float[Array, "o n h w"]:
    """Correlates feature maps with several odd square filters, padded with k // 2 zeros.

    The taps along columns are gathered before the product, those along rows added after it: between
    them a cell holds k * c numbers, where all taps after the product, as in `correlate`, hold
    k * k * o. The order that holds less is taken: it is the faster one, forward and backward. As
    fast as by the correlation theorem for filters of 11 cells on maps of 24 in a step of learning,
    twice as fast in a frame.
    """
    n, h, w, channels = features.shape
    count, k, _, _ = filters.shape
    if k * count < channels:
        return jnp.stack([correlate(features, filter) for filter in filters])
    seen = windows(features, -3, k, k // 2).reshape(n * h * w, k * channels)
    wanted = filters.transpose(1, 3, 2, 0).reshape(k * channels, k * count)
    products = (seen @ wanted).reshape(n, h, w, k, count)
    return jnp.moveaxis(shifted_sum(products, -2, k // 2), -1, 0)


def correlate_plain(
    features: Float[Array, "n h w c"], filter: Float[Array, "kh kw c"]
) -> Float[Array, "n oh ow"]:
    """The same as one XLA convolution: what `correlate` is checked and timed against."""
    kh, kw, _ = filter.shape
    response = lax.conv_general_dilated(
        features,
        filter[..., None],
        window_strides=(1, 1),
        padding=[(kh // 2, kh // 2), (kw // 2, kw // 2)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return response[..., 0]
