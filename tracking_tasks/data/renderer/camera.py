"""The moving camera that looks at a photograph."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from tracking_tasks.data.renderer.config import RendererConfig
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.motion import Curve, plane, random_curve, scaling

_LARGEST_MAGNIFICATION = 1.6  # frame pixels per pixel of the photograph; more looks blurred
_REACH = 0.38  # how far off the frame's centre a target in place travels, as share of the side
_REACH_LEAVING = 0.7


@struct.dataclass
class Jump:
    """One sudden move: a step of `displacement` around `time`, over about four frames."""

    time: Float[Array, ""]
    displacement: Float[Array, "2"]

    def __call__(self, time: Float[Array, ""]) -> Float[Array, "2"]:
        """The part of the displacement that is done at one time."""
        return self.displacement * jax.nn.sigmoid(time - self.time)


def random_jump(dice: Dice, config: RendererConfig) -> Jump:
    """Draws a jump of 0.2 to 0.6 (or, mostly, of nothing) in a random direction."""
    length = dice.uniform((), 0.2, 0.6) * dice.happens(config.fast_move)
    return Jump(time=dice.uniform((), 0.0, config.duration), displacement=length * dice.direction())


@struct.dataclass
class Camera:
    """A path of the viewing window over a square photograph.

    Attributes:
        low: least x, y of the point looked at, in pixels of the photograph.
        high: greatest x, y of that point.
        zoom: frame pixels per pixel of the photograph, before the zoom changes.
        strength: amplitudes of x, y (shares of the range), log zoom, roll, yaw, pitch.
        path: the six corresponding curves.
        shake: hand-held jitter, in frame pixels at `shake_strength`.
        shake_strength: amplitude of the jitter in frame pixels.
        jump: a sudden move, in shares of the range.
        photo_side: side of the photograph in pixels.
        side: side of the frame in pixels.
    """

    low: Float[Array, "2"]
    high: Float[Array, "2"]
    zoom: Float[Array, ""]
    strength: Float[Array, "6"]
    path: Curve
    shake: Curve
    shake_strength: Float[Array, ""]
    jump: Jump
    photo_side: int = struct.field(pytree_node=False)
    side: int = struct.field(pytree_node=False)

    def magnification(self, time: Float[Array, ""]) -> Float[Array, ""]:
        """Frame pixels per pixel of the photograph at one time."""
        return self.zoom * jnp.exp(self.strength[2] * self.path(time)[2])

    def angles(self, time: Float[Array, ""]) -> Float[Array, "3"]:
        """Roll, yaw and pitch at one time, in radians."""
        return (self.strength * self.path(time))[3:]

    def matrix(self, time: Float[Array, ""]) -> Float[Array, "3 3"]:
        """The homography from the photograph (pixels) to the frame (pixels) at one time."""
        share = (self.strength * self.path(time))[:2] + self.jump(time)
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        looked_at = middle + half * jnp.clip(share, -1, 1)
        unit = self.photo_side / 2
        centre = self.side / 2 + self.shake_strength * self.shake(time)
        view = plane(centre, self.magnification(time) * unit, *self.angles(time))
        return view @ scaling(jnp.asarray(1 / unit), -looked_at / unit)


def random_camera(
    dice: Dice,
    config: RendererConfig,
    photo_side: int,
    place: Float[Array, "3"],
    in_place: Bool[Array, ""],
    target_size: Float[Array, ""],
    object_size: Float[Array, ""],
) -> Camera:
    """Draws a camera; for a target in place, one that shows it at the size asked for.

    Args:
        dice: random draws.
        config: the strengths.
        photo_side: side of the photograph in pixels.
        place: the target's place in the photograph: centre x, y, half the tile's side.
        in_place: whether the target is part of the photograph.
        target_size: the side that the target shall have in the frame, in pixels.
        object_size: the side that it has in the photograph.
    """
    fit = config.side / photo_side
    wanted = jnp.where(
        in_place,
        target_size / object_size,
        fit * jnp.exp(dice.uniform((), 0.15, 0.7)),
    )
    # Never the whole photograph, so that there is room to travel.
    zoom = jnp.clip(wanted, 1.12 * fit, max(1.3 * fit, _LARGEST_MAGNIFICATION))
    half = config.side / (2 * zoom)
    leaving = dice.happens(config.leave)
    reach = jnp.where(leaving, _REACH_LEAVING, _REACH) * config.side / zoom
    low, high = jnp.full(2, half), jnp.full(2, photo_side - half)
    near = jnp.where(in_place, reach, photo_side)
    low, high = jnp.maximum(low, place[:2] - near), jnp.minimum(high, place[:2] + near)
    low, high = jnp.minimum(low, place[:2] + near), jnp.maximum(high, place[:2] - near)
    travel = jnp.sqrt(dice.uniform()) * config.camera
    turning = jnp.array([config.scale, config.rotation, config.tilt, config.tilt])
    # A camera turns less than the things that it looks at.
    shares = jnp.where(in_place, jnp.array([1, 0.5, 0.35, 0.35]), jnp.array([0.4, 0.2, 0.2, 0.2]))
    turning = turning * shares * dice.mild((4,))
    return Camera(
        low=low,
        high=high,
        zoom=zoom,
        strength=jnp.concatenate([jnp.stack([travel, travel]), turning]),
        path=random_curve(dice, (6,)),
        shake=random_curve(dice, (2,), slowest=25.0, fastest=5.0),
        shake_strength=config.shake * config.side * dice.mild(),
        jump=random_jump(dice, config),
        photo_side=photo_side,
        side=config.side,
    )
