"""What a camera does to the light that reaches it: blur, noise, compression."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Key, UInt8

from tracking_tasks.data.renderer.config import RendererConfig
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.raster import channel

BLOCK = 8
_GREY = 1.0  # mean difference of red and blue, in grey levels, below which a photograph is grey
_BLUR_RADIUS = 4


@struct.dataclass
class Sensor:
    """One camera's quality.

    Attributes:
        shutter: exposure in frame intervals.
        softness: standard deviation of the blur in pixels.
        noise: standard deviation of the noise in grey levels.
        step: quantization step of the compression in grey levels, 0 for none.
        grey: whether the camera sees no colour.
        key: random key of the noise.
    """

    shutter: Float[Array, ""]
    softness: Float[Array, ""]
    noise: Float[Array, ""]
    step: Float[Array, ""]
    grey: Bool[Array, ""]
    key: Key[Array, ""]


def random_sensor(
    dice: Dice, key: Key[Array, ""], photo: UInt8[Array, "s s 3"], config: RendererConfig
) -> Sensor:
    """Draws a camera; if the photograph is grey, one that makes all that is added to it grey."""
    colour = jnp.abs(photo[..., 0].astype(jnp.float32) - photo[..., 2]).mean()
    return Sensor(
        shutter=config.shutter * dice.uniform(),
        softness=0.35 + config.softness * dice.mild(),
        noise=config.noise * dice.mild(),
        step=config.compression * dice.mild(),
        grey=dice.happens(config.grey) | (colour < _GREY),
        key=key,
    )


def expose(
    sensor: Sensor, image: Float[Array, "3 side side"], time: Float[Array, ""]
) -> UInt8[Array, "side side 3"]:
    """Turns light (1 is white) into a frame."""
    image = jnp.where(sensor.grey, luma(image), image)
    image = 255 * soften(jnp.clip(image, 0.0, 1.0), sensor.softness)
    # The noise belongs to the time, so that a frame is the same whichever others are asked for.
    key = jax.random.fold_in(sensor.key, jax.lax.bitcast_convert_type(time, jnp.uint32))
    image = image + sensor.noise * grain(key, *image.shape[1:])
    image = jnp.clip(compress(image, sensor.step), 0.0, 255.0)
    return jnp.moveaxis(jnp.round(image).astype(jnp.uint8), 0, -1)


def grain(key: Key[Array, ""], height: int, width: int) -> Float[Array, "3 height width"]:
    """White noise of zero mean and unit variance, uniform.

    Each pixel's number is scrambled with the key (the finalizer of MurmurHash3) and its bytes are
    the channels: a small part of the cost of `jax.random.normal`, which would take most of the
    time of a frame.
    """
    bits = jnp.arange(height * width, dtype=jnp.uint32).reshape(height, width)
    for seed in jax.random.bits(key, (2,)):
        bits = (bits ^ seed) * jnp.uint32(0x85EBCA6B)
        bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
        bits = bits ^ (bits >> 16)
    values = jnp.stack([channel(bits, index) for index in range(3)])
    return (values - 127.5) / np.float32(256 / np.sqrt(12))


def luma(image: Float[Array, "3 height width"]) -> Float[Array, "height width"]:
    """The brightness of a colour image (Rec. 601)."""
    return 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]


def soften(
    image: Float[Array, "c side side"], deviation: Float[Array, ""]
) -> Float[Array, "c side side"]:
    """Gaussian blur of a standard deviation up to about 2 pixels, as shifted sums."""
    offsets = np.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1)
    weights = jnp.exp(-0.5 * (offsets / deviation) ** 2)
    weights = weights / weights.sum()
    side = image.shape[1]
    for axis in (1, 2):
        margin = [(_BLUR_RADIUS, _BLUR_RADIUS) if axis == other else (0, 0) for other in range(3)]
        padded = jnp.pad(image, margin, mode="edge")
        image = sum(
            weight * jax.lax.slice_in_dim(padded, shift, shift + side, axis=axis)
            for shift, weight in enumerate(weights)
        )
    return image


def compress(
    image: Float[Array, "3 height width"], step: Float[Array, ""]
) -> Float[Array, "3 height width"]:
    """Video compression: 8x8 cosine transform of the luma, quantized, and chroma at half size.

    The quantization step grows linearly with the spatial frequency. Height and width are multiples
    of `BLOCK`.
    """
    height, width = image.shape[1:]
    grey = luma(image)
    chroma = image - grey
    rows = chroma[:, ::2] + chroma[:, 1::2]
    chroma = (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
    chroma = jnp.repeat(jnp.repeat(chroma, 2, axis=1), 2, axis=2)
    order = np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).ravel()
    scale = (1 + 0.5 * order) / 4 * step + 1e-3
    basis = np.kron(_cosines(), _cosines()).astype(np.float32)
    tiles = grey.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 2, 1, 3)
    values = tiles.reshape(-1, BLOCK * BLOCK) @ basis.T
    values = jnp.round(values / scale) * scale
    tiles = (values @ basis).reshape(height // BLOCK, width // BLOCK, BLOCK, BLOCK)
    return chroma + tiles.transpose(0, 2, 1, 3).reshape(height, width)


def _cosines() -> Float[np.ndarray, "8 8"]:
    """The orthonormal discrete cosine transform, type II."""
    index = np.arange(BLOCK)
    basis = np.cos(np.pi * np.outer(index, index + 0.5) / BLOCK) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return basis
