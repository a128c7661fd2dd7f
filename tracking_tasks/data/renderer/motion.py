"""Random smooth functions of time, and the plane geometry that they drive."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from tracking_tasks.data.renderer.dice import Dice

_WAVES = 3
_FOCAL_LENGTH = 3.0  # of the virtual camera, in half-sides of the object it looks at


@struct.dataclass
class Curve:
    """A random smooth function of time: per dimension a sum of slow sinusoids, within [-1, 1].

    It is evaluated at any time at the same cost, so a few frames out of a long video cost no more
    than those frames.
    """

    amplitude: Float[Array, "*dims waves"]
    frequency: Float[Array, "*dims waves"]
    phase: Float[Array, "*dims waves"]

    def __call__(self, time: Float[Array, ""]) -> Float[Array, "*dims"]:
        """Evaluates the function at one time, in frames."""
        angle = 2 * jnp.pi * self.frequency * time + self.phase
        return jnp.sum(self.amplitude * jnp.sin(angle), -1)


def random_curve(
    dice: Dice, dims: tuple[int, ...], slowest: float = 200.0, fastest: float = 25.0
) -> Curve:
    """Draws a curve whose periods lie between `slowest` and `fastest` frames.

    Amplitudes go with the period, as a body's do: the quick components are the small ones.
    """
    shape = (*dims, _WAVES)
    period = slowest * (fastest / slowest) ** dice.uniform(shape)
    amplitude = period * dice.uniform(shape, 0.2, 1.0)
    return Curve(
        amplitude=amplitude / amplitude.sum(-1, keepdims=True),
        frequency=1 / period,
        phase=dice.uniform(shape, 0.0, 2 * np.pi),
    )


def plane(
    centre: Float[Array, "2"],
    scale: Float[Array, ""],
    roll: Float[Array, ""],
    yaw: Float[Array, ""],
    pitch: Float[Array, ""],
) -> Float[Array, "3 3"]:
    """The homography from a tilted unit plane to the frame.

    A point (x, y) of the plane is rotated by pitch, yaw and roll, seen by a camera three units
    away, scaled, and moved so that the plane's origin lands on `centre` (pixels).
    """
    cos_yaw, sin_yaw = jnp.cos(yaw), jnp.sin(yaw)
    cos_pitch, sin_pitch = jnp.cos(pitch), jnp.sin(pitch)
    tilt = jnp.array([[cos_yaw, sin_yaw * sin_pitch], [0.0, cos_pitch]])
    depth = jnp.array([-sin_yaw, cos_yaw * sin_pitch, _FOCAL_LENGTH]) / _FOCAL_LENGTH
    turn = jnp.array([[jnp.cos(roll), -jnp.sin(roll)], [jnp.sin(roll), jnp.cos(roll)]])
    image = jnp.concatenate([scale * turn @ tilt, jnp.zeros((2, 1))], axis=1)
    return jnp.concatenate([image + centre[:, None] * depth, depth[None]])


def scaling(half: Float[Array, ""], centre: Float[Array, "2"]) -> Float[Array, "3 3"]:
    """The matrix of x -> half x + centre."""
    return jnp.diag(jnp.stack([half, half, jnp.ones(())])).at[:2, 2].set(centre)


def invert(matrix: Float[Array, "3 3"]) -> Float[Array, "3 3"]:
    """Inverts a homography up to its irrelevant scale, by cross products of the rows."""
    first, second, third = matrix
    columns = (jnp.cross(second, third), jnp.cross(third, first), jnp.cross(first, second))
    return jnp.stack(columns, axis=1)


def project(matrix: Float[Array, "3 3"], point: Float[Array, "2"]) -> Float[Array, "2"]:
    """Applies a homography to one point."""
    x, y, w = matrix @ jnp.append(point, 1.0)
    return jnp.stack([x, y]) / w
