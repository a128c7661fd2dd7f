"""Convolution layers in channels-last layout, in the forms that are fast on every backend.

Two of XLA's CPU convolutions are an order of magnitude slower than the arithmetic they do: the
depthwise one (`feature_group_count` = channels), and the one with a single output channel (see
`models.layers.correlation`). A depthwise convolution is therefore written as shifted multiply-adds
here, one of few input channels likewise, and a 1x1 convolution as the matrix product that it is.
"""

import functools
import operator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

Padding = Literal["SAME", "VALID"]


def same_padding(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "SAME" padding of one axis: ceil(size / stride) outputs, the odd one at the end.

    On an even size with stride 2 this pads less before than after, unlike PyTorch's k // 2.

    Returns:
      The numbers of zeros before and after.
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def _taps(
    x: Float[Array, "n h w c"], kernel_size: int, stride: int, padding: Padding
) -> list[Float[Array, "n oh ow c"]]:
    """What each of the kernel_size**2 kernel positions sees, row by row."""
    if padding == "SAME":
        rows, columns = (same_padding(size, kernel_size, stride) for size in x.shape[1:3])
        x = jnp.pad(x, ((0, 0), rows, columns, (0, 0)))
        # Keeps XLA from padding anew for every tap, which doubles the time of the backward pass.
        x = lax.optimization_barrier(x)
    n, h, w, c = x.shape
    height, width = h - kernel_size + 1, w - kernel_size + 1
    return [
        lax.slice(x, (0, i, j, 0), (n, i + height, j + width, c), (1, stride, stride, 1))
        for i in range(kernel_size)
        for j in range(kernel_size)
    ]


def depthwise_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c"],
    stride: int = 1,
    padding: Padding = "SAME",
) -> Float[Array, "n oh ow c"]:
    """Convolves (correlates) every channel with a kernel of its own."""
    size = kernel.shape[0]
    weights = kernel.reshape(size * size, -1)
    taps = _taps(x, size, stride, padding)
    return functools.reduce(operator.add, map(operator.mul, taps, weights))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def narrow_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c d"],
    stride: int = 1,
    padding: Padding = "SAME",
) -> Float[Array, "n oh ow d"]:
    """Convolution of few input channels, as images have.

    One sum of products for each output, which XLA computes in one pass, faster than a product of
    gathered patches. Of the derivatives that product is the faster, and taken here.
    """
    size, _, channels, features = kernel.shape
    weights = kernel.reshape(size * size * channels, features)
    taps = _taps(x, size, stride, padding)
    seen = [tap[..., channel, None] for tap in taps for channel in range(channels)]
    return functools.reduce(operator.add, map(operator.mul, seen, weights))


@functools.partial(narrow_conv.defjvp, symbolic_zeros=True)
def _(
    stride: int, padding: Padding, primals: tuple[Array, Array], tangents: tuple[Any, Any]
) -> tuple[Array, Array]:
    x, kernel = primals
    pairs = (tangents[0], kernel), (x, tangents[1])
    parts = [
        _product_of_patches(*pair, stride, padding)
        for pair, tangent in zip(pairs, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    ]
    return narrow_conv(x, kernel, stride, padding), functools.reduce(operator.add, parts)


def _product_of_patches(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    """The same convolution as one matrix product."""
    size, _, channels, _ = kernel.shape
    patches = jnp.concatenate(_taps(x, size, stride, padding), axis=-1)
    return patches @ kernel.reshape(size * size * channels, -1)


def pointwise_conv(
    x: Float[Array, "n h w c"], kernel: Float[Array, "c d"]
) -> Float[Array, "n h w d"]:
    """1x1 convolution."""
    return x @ kernel


def fold_batch_norm(
    kernel: Float[np.ndarray, "... d"],
    scale: Float[np.ndarray, "d"],
    offset: Float[np.ndarray, "d"],
    mean: Float[np.ndarray, "d"],
    variance: Float[np.ndarray, "d"],
    epsilon: float,
) -> tuple[Float[np.ndarray, "... d"], Float[np.ndarray, "d"]]:
    """Merges a frozen batch norm into the convolution before it.

    Args:
      kernel: of the convolution without bias, output channels last.
      scale: gamma of the batch norm.
      offset: beta of the batch norm.
      mean: running mean.
      variance: running variance.
      epsilon: added to the variance.

    Returns:
      The kernel and the bias of one convolution that does both.
    """
    gain = scale / np.sqrt(variance + epsilon)
    return kernel * gain, offset - mean * gain


def _param(values: Float[np.ndarray, "..."] | Float[Array, "..."]) -> nnx.Param:
    # `jnp.asarray` would compile a program for every shape.
    return nnx.Param(jax.device_put(values))


class NarrowConv(nnx.Module):
    """`narrow_conv` plus bias."""

    def __init__(
        self, kernel: Float[np.ndarray, "k k c d"], bias: Float[np.ndarray, "d"], stride: int
    ):
        self.kernel = _param(kernel)
        self.bias = _param(bias)
        self.stride = stride

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow d"]:
        """Convolves with "SAME" padding."""
        return narrow_conv(x, self.kernel[...], self.stride) + self.bias[...]


class DepthwiseConv(nnx.Module):
    """`depthwise_conv` plus bias."""

    def __init__(
        self, kernel: Float[np.ndarray, "k k c"], bias: Float[np.ndarray, "c"], stride: int
    ):
        self.kernel = _param(kernel)
        self.bias = _param(bias)
        self.stride = stride

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow c"]:
        """Convolves with "SAME" padding."""
        return depthwise_conv(x, self.kernel[...], self.stride) + self.bias[...]


class PointwiseConv(nnx.Module):
    """`pointwise_conv` plus bias."""

    def __init__(
        self, kernel: Float[np.ndarray, "c d"] | Float[Array, "c d"], bias: Float[np.ndarray, "d"]
    ):
        self.kernel = _param(kernel)
        self.bias = _param(bias)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w d"]:
        """Convolves every position."""
        return pointwise_conv(x, self.kernel[...]) + self.bias[...]


class Conv(nnx.Module):
    """A dense convolution plus bias, padded as PyTorch's networks are: by half the kernel.

    A kernel of fewer input channels than there are makes a grouped convolution; with a dilation its
    entries are so many inputs apart.
    """

    def __init__(
        self,
        kernel: Float[np.ndarray, "k k c d"],
        bias: Float[np.ndarray, "d"],
        stride: int,
        dilation: int = 1,
    ):
        self.kernel = _param(kernel)
        self.bias = _param(bias)
        self.stride = stride
        self.dilation = dilation

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow d"]:
        """Convolves; the outputs are centred on every `stride`-th input, from the first on."""
        kernel, stride = self.kernel[...], self.stride
        if kernel.shape[0] == 1:
            return pointwise_conv(x[:, ::stride, ::stride], kernel[0, 0]) + self.bias[...]
        pads = [(kernel.shape[0] // 2 * self.dilation,) * 2] * 2
        groups = x.shape[-1] // kernel.shape[2]
        # One after the other: XLA's own grouped convolution is slow on the CPU.
        parts = [
            lax.conv_general_dilated(
                *part,
                (stride, stride),
                pads,
                rhs_dilation=(self.dilation, self.dilation),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            for part in zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True)
        ]
        return jnp.concatenate(parts, -1) + self.bias[...]
