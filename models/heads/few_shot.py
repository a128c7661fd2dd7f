"""The convolutional classifier of few-shot learning, fast to differentiate twice.

Beside its convolutions (`models.layers.convolution`) three things make it so, and leave its values
alone: a maximum chosen by comparison, whose derivative of any order is a choice; batch norm after
the pooling, on a quarter of the values, which is right because it is monotonic in each channel; and
in the first block the statistics of the convolution's outputs from those of the image patches, so
that on the CPU a few images go through it at a time, and again on the way back.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from models.layers.convolution import convolve, equal_parts

_EPSILON = 1e-5
_CACHE = 2**20  # bytes: what the second-level cache of a core holds


class FewShotClassifier(nnx.Module):
    """Blocks of 3x3 convolution, batch norm, ReLU and 2x2 max pooling; then a linear layer.

    The network of Finn et al., "Model-Agnostic Meta-Learning", ICML 2017, section 5.2, after
    Vinyals et al. 2016 (four blocks of 64 filters; for Omniglot Finn et al. stride the convolutions
    instead of pooling). Batch norm takes mean and variance from the batch at hand, always: nothing
    is remembered from one call to the next. The convolutions have no bias, which batch norm would
    subtract again.

    A pytree: `jax.grad`, `jax.vmap` and `metaopt.fit` take it as it is.

    Args:
        ways: the number of classes.
        image_shape: height, width and channels; the sides are halved, rounding down, in each block.
        filters: of each block.
        key: of the random weights: normal, of variance 2 / inputs in the blocks (He et al. 2015)
            and 1 / inputs in the linear layer.

    Raises:
        ValueError: if the images are too small for that many halvings.
    """

    def __init__(
        self,
        ways: int,
        *,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        filters: Sequence[int] = (64, 64, 64, 64),
        key: Array,
    ) -> None:
        height, width, channels = image_shape
        shrunk = (height >> len(filters)) * (width >> len(filters))
        if not shrunk:
            raise ValueError(
                f"images of {height}x{width} cannot be halved {len(filters)} times: "
                f"give larger ones or fewer filters."
            )
        *keys, last = jax.random.split(key, len(filters) + 1)
        blocks = []
        for count, key in zip(filters, keys, strict=True):
            blocks.append(_Block(channels, count, key))
            channels = count
        self.blocks = nnx.List(blocks)
        inputs = shrunk * channels
        self.kernel = nnx.Param(jax.random.normal(last, (inputs, ways)) / jnp.sqrt(inputs))
        self.bias = nnx.Param(jnp.zeros(ways))

    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n ways"]:
        """The logits of a batch, whose images share the statistics of batch norm."""
        return self.features(images) @ self.kernel[...] + self.bias[...]

    def features(self, images: Float[Array, "n h w c"]) -> Float[Array, "n inputs"]:
        """What the linear layer sees."""
        first, *others = self.blocks
        x = first.of_images(images)
        for block in others:
            x = block(x)
        return x.reshape(len(x), -1)


class _Block(nnx.Module):
    def __init__(self, channels: int, filters: int, key: Array) -> None:
        scale = jnp.sqrt(2 / (9 * channels))
        self.kernel = nnx.Param(scale * jax.random.normal(key, (3, 3, channels, filters)))
        self.scale = nnx.Param(jnp.ones(filters))
        self.offset = nnx.Param(jnp.zeros(filters))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 d"]:
        y = convolve(x, self.kernel[...])
        mean = y.mean((0, 1, 2))
        variance = jnp.square(y - mean).mean((0, 1, 2))
        return self._pooled(_corners(y, (1, 2)), mean, variance)

    def of_images(self, images: Float[Array, "n h w c"]) -> Float[Array, "n h//2 w//2 d"]:
        """The same for few channels, where patches are small beside the outputs y = k'p.

        The mean and the variance of y are those of the patches p seen through the kernel,
        k' mean(p) and k' cov(p) k. No pass over y is needed for them, nor any on the way back.
        """
        n, height, width, channels = images.shape
        kernel = self.kernel[...].reshape(9 * channels, -1)
        patches = _patches(images)
        flat = patches.reshape(9 * channels, -1)
        mean = flat.mean(1)
        centred = flat - mean[:, None]
        covariance = centred @ centred.T / flat.shape[1]
        variance = jnp.sum(kernel * (covariance @ kernel), 0)

        def outputs(patches: Float[Array, "nine_c m h w"]) -> Float[Array, "m h//2 w//2 d"]:
            shape = -1, height // 2, width // 2, kernel.shape[1]
            corners = [
                (corner.reshape(9 * channels, -1).T @ kernel).reshape(shape)
                for corner in _corners(patches, (2, 3))
            ]
            return self._pooled(corners, mean @ kernel, variance)

        per_image = height * width * kernel.shape[1] * kernel.dtype.itemsize
        at_once = n if jax.default_backend() != "cpu" else equal_parts(n, _CACHE // per_image)
        if at_once == n:
            return outputs(patches)
        parts = patches.reshape(9 * channels, -1, at_once, height, width).swapaxes(0, 1)
        pooled = lax.map(jax.checkpoint(outputs), parts)
        return pooled.reshape(n, *pooled.shape[2:])

    def _pooled(
        self,
        corners: Sequence[Float[Array, "n h w d"]],
        mean: Float[Array, " d"],
        variance: Float[Array, " d"],
    ) -> Float[Array, "n h w d"]:
        """Max pooling, batch norm and ReLU of what the four corners of the windows hold."""
        scale = self.scale[...]
        sign = jnp.where(scale < 0, -1.0, 1.0)  # a falling affine map turns maxima to minima
        a, b, c, d = (corner * sign for corner in corners)
        largest = _larger(_larger(a, b), _larger(c, d)) * sign
        slope = scale * lax.rsqrt(variance + _EPSILON)
        return jax.nn.relu(largest * slope + (self.offset[...] - mean * slope))


def _patches(images: Float[Array, "n h w c"]) -> Float[Array, "nine_c n h w"]:
    """What the taps of a 3x3 kernel see, channels running fastest.

    Taps first: matrix products with a few taps on the right take several times as long.
    """
    height, width = images.shape[1:3]
    planes = jnp.pad(jnp.moveaxis(images, 3, 0), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return jnp.concatenate(
        [planes[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    )


def _corners(x: Float[Array, "..."], axes: tuple[int, int]) -> list[Float[Array, "..."]]:
    """The four positions of each 2x2 window of the two axes; an odd last row is left out."""
    rows, columns = axes
    halve = lambda x, start, axis: lax.slice_in_dim(x, start, x.shape[axis] // 2 * 2, 2, axis)
    return [halve(halve(x, i, rows), j, columns) for i in (0, 1) for j in (0, 1)]


def _larger(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """The maximum; where they are equal the derivative is that of the first alone."""
    return jnp.where(a >= b, a, b)
