"""The layers of a frame: drawing them, painting them over one another, measuring the target."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from tracking_tasks.data.renderer.motion import invert
from tracking_tasks.data.renderer.raster import (
    Points,
    Warp,
    channel,
    empty_index,
    level_of,
    photo_index,
    pixel_centres,
    read,
    spread,
    tile_index,
)
from tracking_tasks.data.renderer.scene import WINDOW, Pose, Scene, pose_at

# A pixel of an object counts as the target's where it covers more than half of it.
_COVERED = 0.5


def draw_layers(
    scene: Scene,
    photo: UInt32[Array, "s wide"],
    atlases: UInt32[Array, "n tile tile_wide"],
    poses: Pose,
    spots: Float[Array, "subframes 2"],
    points: Points,
) -> tuple[UInt32[Array, "subframes h w"], UInt32[Array, "subframes n h w"]]:
    """Draws the background and every object of every subframe, as packed pixels.

    What to read is found first, and read in a loop of its own: where a gather is in sight, XLA
    computes what leads to its indices without vector instructions, and repeats the gather for each
    use of its result. Hence `lax.map` and not `vmap`.
    """
    size = scene.cutouts.shape[1]

    def background(args: tuple[Pose, Array]) -> Array:
        pose, spot = args
        level = level_of(1 / pose.magnification)
        warp = Warp(
            matrix=invert(pose.camera),
            bend=pose.bend[scene.target] * scene.in_place,
            level=level,
            texel=pose.magnification * (1 << level),
        )
        return photo_index(photo.shape[0], warp, scene.place, spread(points, spot, warp.texel))

    def objects(args: tuple[Pose, Array]) -> Array:
        pose, spot = args

        def draw(layer: tuple[Array, Warp]) -> Array:
            present, warp = layer
            return jax.lax.cond(
                present,
                lambda: tile_index(size, warp, spread(points, spot, warp.texel)),
                lambda: jnp.full(points[0].shape, empty_index(size)),
            )

        index = jax.lax.map(draw, (scene.present, _object_warps(scene, pose)))
        return index + atlases[0].size * jnp.arange(len(atlases))[:, None, None]

    behind, before = (jax.lax.map(find, (poses, spots)) for find in (background, objects))
    return (
        jax.lax.map(functools.partial(read, photo), behind),
        jax.lax.map(functools.partial(read, atlases), before),
    )


def _object_warps(scene: Scene, pose: Pose) -> Warp:
    """The warps of all objects at one pose."""
    size = 2 * pose.scale / scene.cutouts.shape[1]
    level = level_of(1 / size)
    return Warp(
        matrix=jax.vmap(invert)(pose.objects),
        bend=pose.bend,
        level=level,
        texel=size * (1 << level),
    )


def composite(
    scene: Scene, photo: UInt32[Array, "subframes h w"], objects: UInt32[Array, "subframes n h w"]
) -> list[Float[Array, "h w"]]:
    """Paints the layers over one another and averages the subframes.

    Returns red, green and blue, and the target's visible mask, all in [0, 1].
    """
    total = [jnp.zeros(photo.shape[1:])] * 4
    for background, layers in zip(photo, objects, strict=True):
        canvas = [channel(background, index) for index in range(3)]
        canvas.append(jnp.zeros(background.shape))
        for index, layer in enumerate(layers):
            present = scene.present[index] / 255
            # A target in place is painted already, in its photograph: only its mask is needed.
            is_target = index == scene.target
            painted = jnp.where(scene.in_place, 0.0, 1.0) if is_target else 1.0
            alpha = channel(layer, 3) * present
            for colour in range(3):
                paint = channel(layer, colour) * scene.present[index] * painted
                canvas[colour] = canvas[colour] * (1 - alpha * painted) + paint
            canvas[3] = canvas[3] * (1 - alpha) + (alpha if is_target else 0.0)
        total = [sum_ + plane for sum_, plane in zip(total, canvas, strict=True)]
    scales = [1 / (255 * len(photo))] * 3 + [1 / len(photo)]
    return [plane * scale for plane, scale in zip(total, scales, strict=True)]


def extent(
    scene: Scene,
    atlas: UInt32[Array, "tile tile_wide"],
    spots: Float[Array, "subframes 2"],
    side: int,
    time: Float[Array, ""],
) -> tuple[Float[Array, "4"], Float[Array, ""], Float[Array, ""]]:
    """The target's box, its area in pixels, and the share of it that is inside the frame.

    The mask is drawn over a window of pixels around the target, which may reach out of the frame.
    """
    window = round(WINDOW * side)
    pose = pose_at(scene, time)
    warp = jax.tree.map(lambda leaf: leaf[scene.target], _object_warps(scene, pose))
    matrix = pose.objects[scene.target]
    corner = jnp.round(matrix[:2, 2] / matrix[2, 2] - window / 2)
    x, y = pixel_centres(window)
    x, y = x + corner[0], y + corner[1]

    def index(spot: Array) -> Array:
        return tile_index(atlas.shape[0], warp, spread((x, y), spot, warp.texel))

    mask = channel(read(atlas, jax.lax.map(index, spots)), 3).mean(0) / 255
    within = (x > 0) & (x < side) & (y > 0) & (y < side)
    area = jnp.maximum(mask.sum(), 1e-6)
    covered = mask > _COVERED * mask.max()
    low, size = zip(*(_span(covered.any(axis)) for axis in (0, 1)), strict=True)
    box = jnp.concatenate([corner + jnp.stack(low), jnp.stack(size)])
    return box, area, (mask * within).sum() / area


def _span(marked: Bool[Array, " n"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Where the marked entries begin, and how many entries their extent takes."""
    first = jnp.argmax(marked)
    last = len(marked) - jnp.argmax(marked[::-1])
    return first.astype(jnp.float32), (last - first).astype(jnp.float32)
