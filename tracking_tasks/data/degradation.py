"""What makes video hard to look at: darkness, haze, lost colour, blur, few pixels, noise, blocks.

A `Degradation` says how bad a video is. It is drawn once a video, and `degrade` makes each of its
frames so: pure in its arguments, and for images of any size.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from tracking_tasks.data.renderer import finish
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.episode import DegradationConfig as DegradationConfig

_MARGIN = 32  # pixels by which the border is repeated before a blur, which is periodic


class Degradation(NamedTuple):
    """How bad a video is; the defaults leave it as it is. Lengths are in pixels of the image.

    Attributes:
        gamma: exponent on the light, where white is 1.
        contrast: share of the light's distance from middle grey that is left.
        gains: factors on red, green and blue.
        colour: share of the colour that is left.
        blur: standard deviation of a Gaussian blur.
        motion: x, y by which everything moves during one exposure.
        shrink: factor by which the picture is made smaller before it is enlarged again; at least 1.
        noise: standard deviation in grey levels.
        step: quantization step of block compression in grey levels.
    """

    gamma: Float[Array, ""] | float = 1.0
    contrast: Float[Array, ""] | float = 1.0
    gains: Float[Array, "3"] | tuple[float, float, float] = (1.0, 1.0, 1.0)
    colour: Float[Array, ""] | float = 1.0
    blur: Float[Array, ""] | float = 0.0
    motion: Float[Array, "2"] | tuple[float, float] = (0.0, 0.0)
    shrink: Float[Array, ""] | float = 1.0
    noise: Float[Array, ""] | float = 0.0
    step: Float[Array, ""] | float = 0.0


def draw(key: Key[Array, ""], config: DegradationConfig) -> Degradation:
    """How bad one video is; pure in the key."""
    dice = Dice(key)
    degraded = dice.happens(config.share)
    part = lambda low=0.0: jnp.where(
        degraded & dice.happens(config.each), dice.uniform(low=low), 0.0
    )
    return Degradation(
        gamma=jnp.exp(config.gamma * part(-1.0)),
        contrast=1 - config.haze * part(),
        gains=jnp.exp(config.tint * part() * dice.uniform((3,), -1.0) - config.dark * part()),
        colour=1 - jnp.where(degraded & dice.happens(config.grey), 1.0, part()),
        blur=config.blur * part(),
        motion=config.motion * part() * dice.direction(),
        shrink=config.shrink ** part(),
        noise=config.noise * part(),
        step=config.step * part(),
    )


def degrade(
    image: Float[Array, "h w 3"], how: Degradation, key: Key[Array, ""]
) -> Float[Array, "h w 3"]:
    """Makes one frame so bad: light, then lens, then resolution, noise and compression.

    Args:
        image: RGB in 0..255.
        how: how bad.
        key: of the noise.

    Returns:
        RGB, whole numbers in 0..255.
    """
    light = jnp.moveaxis(image / 255, -1, 0) ** how.gamma
    light = (0.5 + how.contrast * (light - 0.5)) * jnp.reshape(jnp.asarray(how.gains), (3, 1, 1))
    grey = finish.luma(light)
    light = jnp.clip(grey + how.colour * (light - grey), 0.0, 1.0)
    height, width = image.shape[:2]
    seen = 255 * _blur(light, jnp.asarray(how.blur), jnp.asarray(how.motion))
    seen = _coarsen(height, how.shrink) @ seen @ _coarsen(width, how.shrink).T
    seen = seen + how.noise * finish.grain(key, height, width)
    whole = [(0, 0), (0, -height % finish.BLOCK), (0, -width % finish.BLOCK)]
    blocks = finish.compress(jnp.pad(seen, whole, mode="edge"), jnp.asarray(how.step))
    # Compression loses colour even where it quantizes nothing.
    seen = jnp.where(jnp.asarray(how.step) > 0, blocks[:, :height, :width], seen)
    return jnp.moveaxis(jnp.round(jnp.clip(seen, 0.0, 255.0)), 0, -1)


def _blur(
    light: Float[Array, "3 h w"], deviation: Float[Array, ""], motion: Float[Array, "2"]
) -> Float[Array, "3 h w"]:
    """Gaussian blur and uniform motion along a line: a product of their transfer functions."""
    margin = [(0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)]
    padded = jnp.pad(light, margin, mode="symmetric")
    height, width = padded.shape[1:]
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    transfer = jnp.exp(-2 * (jnp.pi * deviation) ** 2 * (x**2 + y**2))
    transfer *= jnp.sinc(motion[0] * x + motion[1] * y)
    blurred = jnp.fft.irfft2(jnp.fft.rfft2(padded) * transfer, (height, width))
    return blurred[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _coarsen(length: int, factor: Float[Array, ""] | float) -> Float[Array, "length length"]:
    """The matrix that shrinks a line of pixels by a factor, by area, and enlarges it linearly."""
    index = jnp.arange(length)
    start, end = index * factor, jnp.minimum((index + 1) * factor, length)  # of the large pixels
    covered = jnp.minimum(index[:, None] + 1, end) - jnp.maximum(index[:, None], start)
    shrink = jnp.maximum(covered, 0.0) / jnp.maximum(end - start, 1e-6)
    last = jnp.ceil(length / factor) - 1
    place = jnp.clip((index + 0.5) / factor - 0.5, 0.0, last)
    enlarge = jnp.maximum(1 - jnp.abs(place[:, None] - index), 0.0)
    return enlarge @ shrink.T
