"""Square crops of a frame, cut and resized on the device.

A frame is padded to a fixed shape so that one compiled program serves many frame sizes; `extent`
says which part of it is picture. Beyond the picture its border repeats (Bhat et al. 2019 and the
SiamFC family pad by the mean colour; repetition gives the filter no edge to latch on to).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped, UInt8

# Bilinear sampling alone would alias when a large target is shrunk.
_SAMPLES_PER_PIXEL = 2
_WINDOW = 512


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
    sides = jnp.broadcast_to(side, (2,))
    columns, rows = (
        _Samples.create(center[axis], sides[axis], extent[axis], size) for axis in range(2)
    )
    return jax.lax.platform_dependent(
        frame,
        rows,
        columns,
        # Batched gathers and slices are several times slower there than one crop after the other.
        cpu=jax.custom_batching.sequential_vmap(_line_by_line),
        default=_all_at_once,
    )


class _Samples(NamedTuple):
    """Where the pixels of a crop's row or column are sampled: linearly between two lines each.

    Attributes:
        lower, upper: the lines.
        fraction: of the upper one.
    """

    lower: Int[Array, "size samples"]
    upper: Int[Array, "size samples"]
    fraction: Float[Array, "size samples"]

    @classmethod
    def create(
        cls,
        center: Float[Array, ""],
        side: Float[Array, ""],
        length: Int[Array, ""],
        size: int,
    ) -> "_Samples":
        """Those of `size` pixels of an axis, on the first `length` lines of a frame."""
        count = size * _SAMPLES_PER_PIXEL
        offsets = (jnp.arange(count) + 0.5) / count - 0.5
        index = jnp.clip(center + offsets * side - 0.5, 0.0, length - 1.0)
        lower = jnp.floor(index).astype(jnp.int32)
        upper = jnp.minimum(lower + 1, length - 1)
        shape = size, _SAMPLES_PER_PIXEL
        return cls(lower.reshape(shape), upper.reshape(shape), (index - lower).reshape(shape))


def _all_at_once(
    frame: UInt8[Array, "h w 3"], rows: _Samples, columns: _Samples
) -> Float[Array, "size size 3"]:
    """By gathers of lines, rows first: they are contiguous, and most of the frame is discarded."""

    def resampled(lines: Shaped[Array, "n m 3"], samples: _Samples) -> Float[Array, "size m 3"]:
        below, above = (lines[i].astype(jnp.float32) for i in (samples.lower, samples.upper))
        return (below + samples.fraction[..., None, None] * (above - below)).mean(1)

    by_column = resampled(frame, rows).transpose(1, 0, 2)
    return resampled(by_column, columns).transpose(1, 0, 2)


@jax.jit  # traced once, though vmap asks three times
def _line_by_line(
    frame: UInt8[Array, "h w 3"], rows: _Samples, columns: _Samples
) -> Float[Array, "size size 3"]:
    """The same in loops: XLA's gathers are several times slower on the CPU.

    Of a wide frame only `_WINDOW` columns are looked at, if these are all that the crop shows.
    """
    first, last = columns.lower[0, 0], columns.upper[-1, -1]
    width, size = frame.shape[1], len(columns.lower)

    def within(part: int) -> Float[Array, "size size 3"]:
        left = jnp.minimum(first, width - part)
        window = _lines_across(frame, rows, left, part=part)
        shifted = columns._replace(lower=columns.lower - left, upper=columns.upper - left)
        return _lines_across(window, shifted, 0, part=size)

    if width <= _WINDOW:
        return within(width)
    return jax.lax.cond(last - first < _WINDOW, lambda: within(_WINDOW), lambda: within(width))


@functools.partial(jax.jit, static_argnames="part")  # traced once for all crops alike
def _lines_across(
    lines: Shaped[Array, "n m 3"], samples: _Samples, left: Int[Array, ""] | int, part: int
) -> Float[Array, "part size 3"]:
    """The resampled lines, `part` pixels of each from `left` on, as columns.

    Written across, so that nothing is to be transposed.
    """
    size, count = samples.lower.shape

    def pixels(index: Int[Array, ""]) -> Float[Array, "part 3"]:
        line = jax.lax.dynamic_slice(lines, (index, left, 0), (1, part, 3))
        return line[0].astype(jnp.float32)

    def put(index: Int[Array, ""], result: Float[Array, "part size 3"]) -> Array:
        at = lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False)
        total = jnp.zeros(())
        for lower, upper, fraction in zip(*map(at, samples), strict=True):
            below, above = pixels(lower), pixels(upper)
            total += below + fraction * (above - below)
        return jax.lax.dynamic_update_slice(result, (total / count)[:, None], (0, index, 0))

    return jax.lax.fori_loop(0, size, put, jnp.zeros((part, size, 3), jnp.float32))


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
