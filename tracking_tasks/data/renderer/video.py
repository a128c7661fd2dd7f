"""Rendering a scene at the times asked for."""

import functools

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Key, UInt8, UInt32

from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer.attributes import attributes
from tracking_tasks.data.renderer.casting import random_scene
from tracking_tasks.data.renderer.config import RendererConfig
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.finish import Sensor, expose, random_sensor
from tracking_tasks.data.renderer.layers import composite, draw_layers, extent
from tracking_tasks.data.renderer.light import Light, illumination, random_light, recolour
from tracking_tasks.data.renderer.raster import pixel_centres, pyramid
from tracking_tasks.data.renderer.scene import Pose, Scene, pose_at

# Offsets of the subframes within a pixel follow the R2 sequence, which fills a square evenly.
_R2 = (0.7548776662466927, 0.5698402909980532)


@struct.dataclass
class Video:
    """A rendered video of one target (with a leading axis: several).

    Attributes:
        frames: the frames, RGB.
        boxes: the target's box: x, y, width, height in pixels, 0-based; the tight extent of its
            mask, occluded parts and parts outside the frame included.
        visible: share of the target's mask that is inside the frame and not occluded, 0 to 1.
        attributes: the eleven attributes of the OTB benchmark by their names (IV, SV, OCC, DEF,
            MB, FM, IPR, OPR, OV, BC, LR), frame by frame; those that compare a frame with the
            first compare it with the frame at `times[0]`.
    """

    frames: UInt8[Array, "*videos t side side 3"]
    boxes: Float[Array, "*videos t 4"]
    visible: Float[Array, "*videos t"]
    attributes: dict[str, Bool[Array, "*videos t"]]


@functools.partial(jax.jit, static_argnames="config")
def render(
    key: Key[Array, ""],
    bank: PhotoBank,
    config: RendererConfig,
    times: Float[Array, " t"] | None = None,
) -> Video:
    """Renders the frames of one random video at the times asked for.

    Pure in its key: the same key, bank and config give the same video, and a frame does not depend
    on which other times are asked for, so a few frames of a long video cost those few. Many videos
    are a `vmap` over keys, or on a CPU, where batched gathers are slow, a `lax.map`; their rounding
    differs, and so do a few of their pixels.

    Args:
        key: random key of the video.
        bank: photographs and objects.
        config: strengths of everything that happens; static.
        times: times in frames, usually within [0, config.duration]; by default 0, 1, ... up to
            there.
    """
    # Accelerators round the factors of matrix products to 10 bits unless told otherwise: too few
    # for pixel coordinates.
    with jax.default_matmul_precision("highest"):
        return _render(key, bank, config, jnp.arange(config.duration) if times is None else times)


def _render(
    key: Key[Array, ""], bank: PhotoBank, config: RendererConfig, times: Float[Array, " t"]
) -> Video:
    dice_key, noise_key = jax.random.split(key)
    dice = Dice(dice_key)
    scene = random_scene(dice, bank, config)
    light = random_light(dice, scene, config)
    sensor = random_sensor(dice, noise_key, scene.photo, config)
    drawn_from = textures(scene)
    drawn = jax.lax.map(lambda time: _frame(scene, light, sensor, drawn_from, config, time), times)
    frames, boxes, visible, inside = drawn
    return Video(
        frames=frames,
        boxes=boxes,
        visible=visible,
        attributes=attributes(scene, light, sensor.shutter, times, boxes, visible, inside),
    )


def textures(scene: Scene) -> tuple[UInt32[Array, "s wide"], UInt32[Array, "n tile tile_wide"]]:
    """The pyramids of the photograph and of the objects (premultiplied by their alpha)."""
    photo = jnp.pad(scene.photo, ((0, 0), (0, 0), (0, 1)), constant_values=255)
    colour, alpha = scene.cutouts[..., :3].astype(jnp.uint16), scene.cutouts[..., 3:]
    colour = ((colour * alpha + 127) // 255).astype(jnp.uint8)
    return pyramid(photo), jax.vmap(pyramid)(jnp.concatenate([colour, alpha], -1))


def subframe_poses(
    scene: Scene, shutter: Float[Array, ""], count: int, time: Float[Array, ""]
) -> tuple[Pose, Float[Array, "subframes 2"]]:
    """The moments of an exposure around `time`, each seen from another spot within the pixel."""
    steps = jnp.arange(count) + 0.5
    poses = jax.vmap(lambda moment: pose_at(scene, moment))(time + shutter * (steps / count - 0.5))
    return poses, jnp.mod(steps[:, None] * jnp.array(_R2), 1.0) - 0.5


def _frame(
    scene: Scene,
    light: Light,
    sensor: Sensor,
    drawn_from: tuple[UInt32[Array, "s wide"], UInt32[Array, "n tile tile_wide"]],
    config: RendererConfig,
    time: Float[Array, ""],
) -> tuple[UInt8[Array, "side side 3"], Float[Array, "4"], Float[Array, ""], Float[Array, ""]]:
    """One frame, the target's box, its visible share and its share inside the frame."""
    photo, atlases = drawn_from
    points = pixel_centres(config.side)
    poses, spots = subframe_poses(scene, sensor.shutter, config.subframes, time)
    layers = draw_layers(scene, photo, recolour(light, atlases, time), poses, spots, points)
    *colours, target = composite(scene, *layers)
    image = jnp.stack(colours) * illumination(light, points, config.side, time)
    box, area, inside = extent(scene, atlases[scene.target], spots, config.side, time)
    visible = jnp.clip(target.sum() / area, 0.0, inside)
    return expose(sensor, image, time), box, visible, inside
