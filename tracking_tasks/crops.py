"""Square crops of a frame, cut and resized on the device.

A frame is padded to a fixed shape so that one compiled program serves many frame sizes; `extent`
says which part of it is picture. Beyond the picture its border repeats (Bhat et al. 2019 and the
SiamFC family pad by the mean colour; repetition gives the filter no edge to latch on to).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped, UInt8

# Bilinear sampling alone would alias when a large target is shrunk.
_SAMPLES_PER_PIXEL = 2


@functools.partial(jax.jit, static_argnames="size")  # traced once for all scales and programs
def crop(
    frame: UInt8[Array, "h w 3"],
    extent: Int[Array, "2"],
    center: Float[Array, "2"],
    side: Float[Array, ""] | Float[Array, "2"],
    size: int,
) -> Float[Array, "size size 3"]:
    """Cuts the square of `side` frame pixels around `center`, resized to `size` x `size`.

    With two sides, the rectangle of that width and height: the picture is stretched.

    Args:
        frame: RGB.
        extent: the width and height of the picture within the frame, in pixels.
        center: x, y in frame pixels, continuous (pixel i covers [i, i + 1)).
        side: side of the square, or width and height, in frame pixels, positive.
        size: side of the result.

    Returns:
        RGB in 0..255.
    """
    on_cpu = functools.partial(_crop, size=size, interpolate=_one_by_one)
    elsewhere = functools.partial(_crop, size=size, interpolate=_all_at_once)
    return jax.lax.platform_dependent(
        frame,
        extent,
        center,
        jnp.broadcast_to(side, (2,)),
        # Batched gathers and slices are several times slower there than one crop after the other.
        cpu=jax.custom_batching.sequential_vmap(on_cpu),
        default=elsewhere,
    )


def _crop(
    frame: UInt8[Array, "h w 3"],
    extent: Int[Array, "2"],
    center: Float[Array, "2"],
    sides: Float[Array, "2"],
    *,
    size: int,
    interpolate: Callable[..., Array],
) -> Float[Array, "size size 3"]:
    h, w, _ = frame.shape
    samples = size * _SAMPLES_PER_PIXEL
    offsets = (jnp.arange(samples) + 0.5) / samples - 0.5

    def resampled(lines: Shaped[Array, "n m"], axis: int) -> Float[Array, "size m"]:
        positions = center[axis] + offsets * sides[axis]
        lines = interpolate(lines, jnp.clip(positions - 0.5, 0.0, extent[axis] - 1.0), extent[axis])
        return lines.reshape(size, _SAMPLES_PER_PIXEL, -1).mean(1)

    # Rows first: they are contiguous, so this is the cheap way to discard most of the frame.
    rows = resampled(frame.reshape(h, w * 3), axis=1)
    by_column = rows.reshape(size, w, 3).transpose(1, 0, 2).reshape(w, size * 3)
    columns = resampled(by_column, axis=0)
    return columns.reshape(size, size, 3).transpose(1, 0, 2)


def _all_at_once(
    lines: Shaped[Array, "n m"], index: Float[Array, " samples"], length: Int[Array, ""]
) -> Float[Array, "samples m"]:
    """Linear interpolation between the first `length` lines."""
    lower = jnp.floor(index).astype(jnp.int32)
    upper = jnp.minimum(lower + 1, length - 1)
    below, above = (lines[i].astype(jnp.float32) for i in (lower, upper))
    return below + (index - lower)[:, None] * (above - below)


def _one_by_one(
    lines: Shaped[Array, "n m"], index: Float[Array, " samples"], length: Int[Array, ""]
) -> Float[Array, "samples m"]:
    """The same in a loop, each line a slice: XLA's gathers are several times slower on the CPU."""

    def line(index: Float[Array, ""]) -> Float[Array, " m"]:
        lower = jnp.floor(index).astype(jnp.int32)
        upper = jnp.minimum(lower + 1, length - 1)
        at = lambda i: jax.lax.dynamic_index_in_dim(lines, i, keepdims=False).astype(jnp.float32)
        return at(lower) + (index - lower) * (at(upper) - at(lower))

    return jax.lax.map(line, index)


def rotate(
    image: Float[Array, "s s 3"], degrees: float | Float[Array, ""]
) -> Float[Array, "s s 3"]:
    """Rotates a crop about its centre, the border repeated."""
    size = image.shape[0]
    angle = jnp.deg2rad(degrees)
    grid = jnp.arange(size) - (size - 1) / 2
    y, x = jnp.meshgrid(grid, grid, indexing="ij")
    source = jnp.stack(
        [jnp.cos(angle) * y + jnp.sin(angle) * x, jnp.cos(angle) * x - jnp.sin(angle) * y]
    )
    source = source + (size - 1) / 2
    sample = lambda channel: jax.scipy.ndimage.map_coordinates(
        channel, list(source), 1, mode="nearest"
    )
    return jax.vmap(sample, in_axes=2, out_axes=2)(image)


def blur(image: Float[Array, "s s 3"], sigma: tuple[float, float]) -> Float[Array, "s s 3"]:
    """Gaussian blur of a crop; `sigma` is (vertical, horizontal) in pixels, both positive."""
    for axis, deviation in enumerate(sigma):
        radius = int(3 * deviation + 0.5)
        offsets = jnp.arange(-radius, radius + 1)
        kernel = jnp.exp(-0.5 * (offsets / deviation) ** 2)
        kernel = kernel / kernel.sum()
        padding = [(radius, radius) if axis == a else (0, 0) for a in range(3)]
        padded = jnp.pad(image, padding, mode="edge")
        length = image.shape[axis]
        image = sum(
            weight * jax.lax.slice_in_dim(padded, i, i + length, axis=axis)
            for i, weight in enumerate(kernel)
        )
    return image
