"""Drawing: texture pyramids and warped sampling.

Pixels are read as packed words of four bytes: on a CPU, gathers are most of the renderer's cost,
and XLA repeats a gather, with all that leads to its indices, once for every channel of its result.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int, UInt8, UInt32

Points = tuple[Float[Array, "h w"], Float[Array, "h w"]]  # x and y

_LEVELS = 3
_REACH = 6.0  # squared distance, in half-sides of the object, at which its deformation ends


@struct.dataclass
class Warp:
    """How a layer's texture meets the frame.

    Attributes:
        matrix: homography from the frame (pixels) to the object's plane, where the object's tile
            is [-1, 1] x [-1, 1].
        bend: coefficients of the deformation's five polynomials, for x and for y.
        level: pyramid level to sample.
        texel: size of that level's pixels in frame pixels.
    """

    matrix: Float[Array, "*n 3 3"]
    bend: Float[Array, "*n 5 2"]
    level: Int[Array, "*n"]
    texel: Float[Array, "*n"]


def pyramid(image: UInt8[Array, "side side 4"]) -> UInt32[Array, "side wide"]:
    """Packs an image and its halvings into one atlas of 1.5 times the width, a word a pixel.

    Sampling a level whose pixels are about as large as the frame's keeps small copies free of
    aliasing. The first level fills the left square, the others stand to its right.
    """
    half = _halve(image)
    quarter = _halve(half)
    right = jnp.pad(quarter, ((0, quarter.shape[0]), (0, quarter.shape[0]), (0, 0)))
    atlas = jnp.concatenate([image, jnp.concatenate([half, right])], axis=1)
    return jax.lax.bitcast_convert_type(atlas, jnp.uint32)


def channel(packed: UInt32[Array, "*shape"], index: int) -> Float[Array, "*shape"]:
    """One of the four channels of packed pixels, 0 to 255."""
    return ((packed >> (8 * index)) & 255).astype(jnp.float32)


def pack(channels: Sequence[Float[Array, "*shape"]]) -> UInt32[Array, "*shape"]:
    """Packs four channels, 0 to 255, into one word a pixel."""
    words = [jnp.round(values).astype(jnp.uint32) << (8 * i) for i, values in enumerate(channels)]
    return words[0] | words[1] | words[2] | words[3]


def _halve(image: UInt8[Array, "side side 4"]) -> UInt8[Array, "half half 4"]:
    wide = image.astype(jnp.uint16)
    total = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return ((total + 2) // 4).astype(jnp.uint8)


def _corner(side: int, level: int) -> tuple[int, int]:
    return ((0, 0), (0, side), (side // 2, side))[level]


def _width(side: int) -> int:
    return side + side // 2


def empty_index(side: int) -> int:
    """The index of an atlas's last pixel, which belongs to no level and is always 0."""
    return side * _width(side) - 1


def plane_map(side: int) -> Float[np.ndarray, "side wide 2"]:
    """For each pixel of an atlas of cut-outs, its place (x, y) in the tile, in [-1, 1]."""
    atlas = np.zeros((side, _width(side), 2), np.float32)
    for level in range(_LEVELS):
        row, column = _corner(side, level)
        line = 2 * (np.arange(side >> level) + 0.5) / (side >> level) - 1
        place = np.stack(np.meshgrid(line, line), -1)
        atlas[row : row + (side >> level), column : column + (side >> level)] = place
    return atlas


def level_of(texels: Float[Array, "*n"]) -> Int[Array, "*n"]:
    """The pyramid level for a layer that passes `texels` pixels of texture per frame pixel.

    Rather too fine than too coarse, since subframes average over a pixel.
    """
    return jnp.clip(jnp.round(jnp.log2(0.7 * texels)), 0, _LEVELS - 1).astype(jnp.int32)


def pixel_centres(side: int) -> Points:
    """The centres of a square of pixels."""
    line = jnp.arange(side) + 0.5
    x, y = jnp.meshgrid(line, line)
    return x, y


def to_plane(warp: Warp, points: Points) -> Points:
    """Maps frame points to the object's plane: the homography, then the local deformation.

    The deformation is a polynomial of degree three (bends, stretches, waves) that fades to nothing
    around the object, so that an object in its own photograph can deform and leave the rest alone.
    """
    x, y = points
    horizontal, vertical, depth = (row[0] * x + row[1] * y + row[2] for row in warp.matrix)
    x, y = horizontal / depth, vertical / depth
    fade = jnp.maximum(0.0, 1 - (x * x + y * y) / _REACH) ** 2
    terms = (x * x, y * y, x * y, x * (x * x - 1), y * (y * y - 1))
    shift_x, shift_y = (
        sum(term * weight for term, weight in zip(terms, warp.bend[:, axis], strict=True))
        for axis in (0, 1)
    )
    return x + fade * shift_x, y + fade * shift_y


def texel_index(side: int, texels: Points, level: Int[Array, ""]) -> Int[Array, "h w"]:
    """Where the nearest pixel of one level lies in the flattened atlas of an image of `side`.

    `texels` are continuous pixel positions of the first level; beyond the border they take the
    border's value. Reading one pixel is enough since a frame is the mean of several subframes that
    are shifted against each other (see `spread`).
    """
    corner = jnp.array([_corner(side, number) for number in range(_LEVELS)])[level]
    last = (side >> level) - 1
    column, row = (jnp.clip((place / (1 << level)).astype(jnp.int32), 0, last) for place in texels)
    return (row + corner[0]) * _width(side) + column + corner[1]


def read(
    atlases: UInt32[Array, "*n side wide"], index: Int[Array, "*shape"]
) -> UInt32[Array, "*shape"]:
    """The packed pixels at indices into flattened atlases."""
    # The indices are in bounds; checking them again would double the cost.
    return atlases.ravel().at[index].get(mode="promise_in_bounds")


def spread(points: Points, spot: Float[Array, "2"], texel: Float[Array, ""]) -> Points:
    """Shifts a subframe's points by `spot`, in units of a frame pixel or of a texel if larger.

    Over spots that fill [-1/2, 1/2]^2 evenly, the mean of nearest pixels is a box filter where the
    texture is shrunk, and bilinear interpolation where it is enlarged.
    """
    reach = jnp.maximum(1.0, texel)
    return points[0] + reach * spot[0], points[1] + reach * spot[1]


def tile_index(side: int, warp: Warp, points: Points) -> Int[Array, "h w"]:
    """What frame points show of an object, as indices into its flattened atlas of a tile of `side`.

    Outside the tile, the index of an empty pixel.
    """
    x, y = to_plane(warp, points)
    half = side / 2
    index = texel_index(side, ((x + 1) * half, (y + 1) * half), warp.level)
    return jnp.where((jnp.abs(x) < 1) & (jnp.abs(y) < 1), index, empty_index(side))


def photo_index(
    side: int, warp: Warp, place: Float[Array, "3"], points: Points
) -> Int[Array, "h w"]:
    """What frame points show of a photograph of `side`, as indices into its flattened atlas.

    Beyond its border it is reflected. The plane of `warp` is that of an object at `place` in the
    photograph (centre x, y, half).
    """
    x, y = (
        side - jnp.abs(side - jnp.abs(middle + place[2] * offset))
        for middle, offset in zip(place, to_plane(warp, points), strict=False)
    )
    return texel_index(side, (x, y), warp.level)
