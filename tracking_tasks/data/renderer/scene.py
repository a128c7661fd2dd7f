"""One random scene: which photograph and objects, and where each of them is at any time."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, UInt8

from tracking_tasks.data.renderer.camera import Camera, Jump
from tracking_tasks.data.renderer.motion import Curve, plane, project, scaling

WINDOW = 0.75  # side of the window that the target always fits, as a share of the frame's side
BENDS = 10  # coefficients of a deformation: five polynomials, for x and for y


@struct.dataclass
class Scene:
    """A video before it is drawn; n objects in painting order, the target among them.

    Attributes:
        photo: the background photograph.
        cutouts: the objects' tiles.
        place: the target's place in `photo`: centre x, y, half the tile's side, in pixels.
        in_place: whether the target is part of the photograph.
        cluttered: whether it is cut out, but moves over the photograph that it comes from.
        present: which objects there are.
        occludes: which of them are occluders.
        scale: half the tile's side in frame pixels, at the nominal zoom.
        limit: the largest value that the scale may take.
        strength: amplitudes of the objects' motions.
        motion: curves of x, y (frame pixels), log scale, roll, yaw, pitch and the bends.
        anchor: where an object stands in the photograph, in pixels.
        velocity: its steady motion relative to the photograph, in frame pixels per frame.
        meeting: the time at which it is close to the target.
        jump: the composed target's sudden move, in shares of the frame's side.
        exit: the composed target's way out of the view and back, in shares of the frame's side.
        exit_time: when it is farthest away.
        camera: the moving camera.
        target: index of the target among the objects.
    """

    photo: UInt8[Array, "s s 3"]
    cutouts: UInt8[Array, "n tile tile 4"]
    place: Float[Array, "3"]
    in_place: Bool[Array, ""]
    cluttered: Bool[Array, ""]
    present: Bool[Array, " n"]
    occludes: Bool[Array, " n"]
    scale: Float[Array, " n"]
    limit: Float[Array, " n"]
    strength: Float[Array, "n motions"]
    motion: Curve
    anchor: Float[Array, "n 2"]
    velocity: Float[Array, "n 2"]
    meeting: Float[Array, " n"]
    jump: Jump
    exit: Float[Array, "2"]
    exit_time: Float[Array, ""]
    camera: Camera
    target: int = struct.field(pytree_node=False)


@struct.dataclass
class Pose:
    """Where everything is at one time (with leading axes: at many times).

    Attributes:
        camera: homography from the target's plane, where it lies in the photograph, to the frame.
        objects: homographies from the objects' planes to the frame.
        bend: coefficients of the objects' deformations.
        scale: half the tiles' sides in frame pixels.
        angles: the target's roll, yaw and pitch relative to how it was photographed.
        magnification: frame pixels per pixel of the photograph.
    """

    camera: Float[Array, "*times 3 3"]
    objects: Float[Array, "*times n 3 3"]
    bend: Float[Array, "*times n 5 2"]
    scale: Float[Array, "*times n"]
    angles: Float[Array, "*times 3"]
    magnification: Float[Array, "*times"]


def pose_at(scene: Scene, time: Float[Array, ""]) -> Pose:
    """Evaluates every trajectory of the scene at one time."""
    target = scene.target
    matrix = scene.camera.matrix(time)
    motion = scene.strength * scene.motion(time)
    zoom = scene.camera.magnification(time)
    scale = scene.scale * zoom / scene.camera.zoom * jnp.exp(motion[:, 2])
    scale = jnp.minimum(scale, scene.limit)
    standing = jax.vmap(project, (None, 0))(matrix, scene.anchor)
    position = standing + motion[:, :2] + scene.velocity * (time - scene.meeting)[:, None]
    position = position.at[target].set(_target_path(scene, motion[target, :2], time))
    objects = jax.vmap(plane)(position, scale, *motion[:, 3:6].T)
    camera = matrix @ scaling(scene.place[2], scene.place[:2])
    pinned = jnp.where(scene.in_place, camera, objects[target])
    return Pose(
        camera=camera,
        objects=objects.at[target].set(pinned),
        bend=motion[:, 6:].reshape(-1, BENDS // 2, 2),
        scale=scale.at[target].set(jnp.where(scene.in_place, scene.place[2] * zoom, scale[target])),
        angles=jnp.where(scene.in_place, scene.camera.angles(time), motion[target, 3:6]),
        magnification=zoom,
    )


def target_position(scene: Scene, time: Float[Array, ""]) -> Float[Array, "2"]:
    """The target's centre in the frame at one time."""
    return project(pose_at(scene, time).objects[scene.target], jnp.zeros(2))


def _target_path(
    scene: Scene, wander: Float[Array, "2"], time: Float[Array, ""]
) -> Float[Array, "2"]:
    """The path of a composed target, in frame pixels: mostly within the view."""
    side = scene.camera.side
    inside = jnp.clip(0.5 + wander / side + scene.jump(time), 0.12, 0.88)
    away = jnp.exp(-(((time - scene.exit_time) / 8.0) ** 2))
    return side * (inside + scene.exit * away)
