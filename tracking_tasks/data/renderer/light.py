"""Colour of objects and light of the scene as they change over time."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, UInt32

from tracking_tasks.data.renderer.config import RendererConfig
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.motion import Curve, random_curve
from tracking_tasks.data.renderer.raster import Points, channel, pack, plane_map
from tracking_tasks.data.renderer.scene import Scene

_TINT = 0.15  # standard deviation of a distractor's own colour, natural logarithm per channel


@struct.dataclass
class Light:
    """What falls on the scene and how its n objects answer.

    Attributes:
        tint: constant gain of each object's red, green and blue.
        strength: amplitude of each object's changes.
        change: curves of red, green, blue and overall log gain, contrast, saturation, and the
            gradient of the shading in x and y.
        glow: curves of the scene's red, green, blue and overall log gain.
        glow_strength: their amplitudes.
        depth: how dark the shadow is, 0 for none.
        normal: unit vector across the edge of the shadow.
        speed: speed of the edge, in frame sides per frame.
        arrival: the time at which the edge passes the middle of the frame.
        edge: width of the edge in frame sides.
    """

    tint: Float[Array, "n 3"]
    strength: Float[Array, " n"]
    change: Curve
    glow: Curve
    glow_strength: Float[Array, "4"]
    depth: Float[Array, ""]
    normal: Float[Array, "2"]
    speed: Float[Array, ""]
    arrival: Float[Array, ""]
    edge: Float[Array, ""]


def random_light(dice: Dice, scene: Scene, config: RendererConfig) -> Light:
    """Draws the light; objects are brought part of the way to the background's brightness."""
    n = len(scene.present)
    tint = _TINT * dice.normal((n, 3)).at[scene.target].set(0.0)
    share = dice.uniform((n, 1), 0.0, 0.6)
    glow = config.illumination * dice.mild() * jnp.array([0.15, 0.15, 0.15, 1.0])
    shadow = dice.happens(config.shadow)
    speed = dice.uniform((), 0.01, 0.06)
    return Light(
        tint=jnp.exp(tint + share * _brightness_gap(scene)[:, None]),
        strength=config.appearance * dice.mild((n,)),
        change=random_curve(dice, (n, 8)),
        glow=random_curve(dice, (4,)),
        glow_strength=glow,
        depth=shadow * dice.uniform((), 0.3, 0.7),
        normal=dice.direction(),
        speed=speed,
        arrival=dice.uniform((), 0.0, config.duration),
        edge=speed,
    )


def _brightness_gap(scene: Scene) -> Float[Array, " n"]:
    """Log ratio of the photograph's mean brightness to each object's, within limits."""
    alpha = scene.cutouts[..., 3].astype(jnp.float32)
    grey = scene.cutouts[..., :3].astype(jnp.float32).mean(-1)
    objects = (grey * alpha).sum((1, 2)) / jnp.maximum(alpha.sum((1, 2)), 1.0)
    return jnp.clip(jnp.log((scene.photo.mean() + 20) / (objects + 20)), -0.7, 0.7)


def recolour(
    light: Light, atlases: UInt32[Array, "n side wide"], time: Float[Array, ""]
) -> UInt32[Array, "n side wide"]:
    """Applies the objects' colours at one time to their packed, premultiplied atlases."""
    change = light.strength[:, None] * light.change(time)

    def per_object(values: Float[Array, " n"]) -> Float[Array, "n 1 1"]:
        return values[:, None, None]

    colours, alpha = [channel(atlases, index) for index in range(3)], channel(atlases, 3)
    x, y = jnp.moveaxis(plane_map(atlases.shape[1]), -1, 0)
    shading = 1 + 0.6 * (x * per_object(change[:, 6]) + y * per_object(change[:, 7]))
    contrast = per_object(jnp.exp(0.8 * change[:, 4])) * shading
    # With premultiplied colours a constant is a multiple of alpha.
    constant = 0.45 * alpha * (shading - contrast)
    saturation = per_object(jnp.exp(change[:, 5]))
    grey = (1 - saturation) / 3 * (colours[0] + colours[1] + colours[2])
    gains = light.tint * jnp.exp(0.3 * change[:, :3] + 0.8 * change[:, 3:4])
    mixed = [
        per_object(gain) * ((saturation * colour + grey) * contrast + constant)
        for gain, colour in zip(gains.T, colours, strict=True)
    ]
    return pack([*(jnp.clip(colour, 0.0, alpha) for colour in mixed), alpha])


def illumination(
    light: Light, points: Points, side: int, time: Float[Array, ""]
) -> Float[Array, "3 h w"]:
    """The gain of the scene's light at frame points (x, y in pixels) and one time, per channel."""
    glow = light.glow_strength * light.glow(time)
    gain = jnp.exp(glow[:3] + glow[3])
    x, y = (place / side - 0.5 for place in points)
    across = x * light.normal[0] + y * light.normal[1] - light.speed * (time - light.arrival)
    return gain[:, None, None] * (1 - light.depth * jax.nn.sigmoid(across / light.edge))


def object_gain(light: Light, index: int, time: Float[Array, ""]) -> Float[Array, ""]:
    """The overall log gain of one object's own change at one time."""
    return 0.8 * light.strength[index] * light.change(time)[index, 3]
