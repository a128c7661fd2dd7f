"""The OTB attributes of a rendered video, from what was really applied."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tracking_tasks.data.renderer.light import Light, illumination, object_gain
from tracking_tasks.data.renderer.scene import Scene, pose_at

ATTRIBUTES = ("IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR")
_BRIGHTNESS = 0.25  # change of log gain
_SIZE_RATIO = 2.0  # of box areas: OTB's t_s
_OCCLUDED = 0.1  # share of the part inside the frame
_BEND = 0.12  # change of the deformation's coefficients, in half-sides of the tile
_BLUR = 3.0  # length in pixels
_SPEED = 1 / 16  # frame sides per frame: OTB's 20 pixels in a frame of 320
_ANGLE = 0.26  # radians, 15 degrees
_NEAR = 1.5  # sides of the target to a distractor
_LOW_RESOLUTION = 400.0  # box area in pixels: OTB's t_r


def attributes(
    scene: Scene,
    light: Light,
    shutter: Float[Array, ""],
    times: Float[Array, " t"],
    boxes: Float[Array, "t 4"],
    visible: Float[Array, " t"],
    inside: Float[Array, " t"],
) -> dict[str, Bool[Array, " t"]]:
    """Names what happens in each frame (Wu, Lim and Yang, "Object Tracking Benchmark", Table 2).

    IV, SV, DEF, IPR and OPR compare with the first of the times. FM is a motion of more than 1/16
    of the frame's side since the frame before, BC a distractor within 1.5 sides of the target, or
    a background that is the photograph which a cut-out target comes from.
    """
    area = boxes[:, 2] * boxes[:, 3]
    poses = jax.vmap(lambda time: pose_at(scene, time))(times)
    centres = _centres(poses.objects)
    moved = jnp.linalg.norm(centres - _centres_at(scene, times - 1), axis=-1)[:, scene.target]
    gain = jax.vmap(lambda time, centre: _log_gain(scene, light, time, centre))(
        times, centres[:, scene.target]
    )
    bend = poses.bend[:, scene.target]
    apart = jnp.linalg.norm(centres - centres[:, [scene.target]], axis=-1)
    others = scene.present.at[scene.target].set(False) & ~scene.occludes
    near = (apart < _NEAR * jnp.sqrt(area)[:, None]) & others
    flags = (
        jnp.abs(gain - gain[0]) > _BRIGHTNESS,
        jnp.abs(jnp.log(area / area[0])) > jnp.log(_SIZE_RATIO),
        inside - visible > _OCCLUDED * inside,
        jnp.abs(bend - bend[0]).max((1, 2)) > _BEND,
        shutter * moved > _BLUR,
        moved > _SPEED * scene.camera.side,
        jnp.abs(poses.angles - poses.angles[0])[:, 0] > _ANGLE,
        jnp.abs(poses.angles - poses.angles[0])[:, 1:].max(1) > _ANGLE,
        inside < 0.99,
        near.any(1) | scene.cluttered,
        area < _LOW_RESOLUTION,
    )
    return dict(zip(ATTRIBUTES, flags, strict=True))


def _centres(objects: Float[Array, "t n 3 3"]) -> Float[Array, "t n 2"]:
    return objects[..., :2, 2] / objects[..., 2:, 2]


def _centres_at(scene: Scene, times: Float[Array, " t"]) -> Float[Array, "t n 2"]:
    return _centres(jax.vmap(lambda time: pose_at(scene, time).objects)(times))


def _log_gain(
    scene: Scene, light: Light, time: Float[Array, ""], centre: Float[Array, "2"]
) -> Float[Array, ""]:
    """The log gain of the target: the scene's light where it is, and its own change."""
    own = jnp.where(scene.in_place, 0.0, object_gain(light, scene.target, time))
    return (
        own
        + jnp.log(
            illumination(light, (centre[:1, None], centre[1:, None]), scene.camera.side, time)
        ).mean()
    )
