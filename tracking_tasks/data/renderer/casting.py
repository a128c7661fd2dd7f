"""Drawing a random scene from the bank: who plays, and how they move."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer.camera import random_camera, random_jump
from tracking_tasks.data.renderer.config import RendererConfig
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.motion import invert, project, random_curve
from tracking_tasks.data.renderer.scene import BENDS, WINDOW, Scene, target_position

_MOTIONS = 6 + BENDS  # x, y, log scale, roll, yaw, pitch, the bends
_LARGEST_MAGNIFICATION = 1.6


def random_scene(dice: Dice, bank: PhotoBank, config: RendererConfig) -> Scene:
    """Draws a scene from the bank."""
    target = (config.distractors + 1) // 2  # half the distractors pass behind it
    n = config.distractors + 1 + config.occluders
    is_occluder = jnp.arange(n) > config.distractors
    in_place = dice.happens(config.in_place) & bank.inside.any()
    chosen = _choose_objects(dice, bank, config, target, in_place)

    own_photo = bank.photo[chosen[target]]
    stays = in_place | dice.happens(config.clutter)
    index = jnp.where(stays, own_photo, dice.index(len(bank.photos)))
    photo = bank.photos[index]
    flip = dice.happens(0.5, (n,))
    cutouts = bank.cutouts[chosen]
    cutouts = jnp.where(flip[:, None, None, None], cutouts[:, :, ::-1], cutouts)
    photo = jnp.where(flip[target], photo[:, ::-1], photo)
    place = bank.place[chosen[target]]
    place = place.at[0].set(jnp.where(flip[target], photo.shape[0] - place[0], place[0]))

    # Sizes are geometric means of an object's sides; a tile is 2 units wide on its plane.
    extent = bank.extent[chosen]
    shape_size = 2 * jnp.sqrt(extent[:, 0] * extent[:, 1])
    low, high = (share * config.side for share in config.target_size)
    size = low * (high / low) ** dice.uniform()
    camera = random_camera(
        dice, config, photo.shape[0], place, in_place, size, shape_size[target] * place[2]
    )
    limit = WINDOW * config.side / 2 / (1.15 * jnp.linalg.norm(extent, axis=-1))
    size = jnp.where(in_place, shape_size[target] * place[2] * camera.zoom, size)
    variation = jnp.where(is_occluder, 0.2, 0.0) + 0.25 * dice.normal((n,))
    sizes = size * jnp.exp(variation.at[target].set(0.0))
    coarsest = _LARGEST_MAGNIFICATION * bank.place[chosen, 2]

    strength = _motion_strength(dice, config, n)
    strength = strength.at[:, :2].multiply(jnp.where(jnp.arange(n) == target, 1.0, 0.2)[:, None])
    leaves = dice.happens(config.leave)
    scene = Scene(
        photo=photo,
        cutouts=cutouts,
        place=place,
        in_place=in_place,
        cluttered=~in_place & (index == own_photo),
        present=_present(dice, config, target),
        occludes=is_occluder,
        scale=jnp.minimum(sizes / shape_size, coarsest),
        limit=limit,
        strength=strength,
        motion=random_curve(dice, (n, _MOTIONS)),
        anchor=jnp.broadcast_to(place[:2], (n, 2)),
        velocity=jnp.zeros((n, 2)),
        meeting=dice.uniform((n,), 0.0, config.duration),
        jump=random_jump(dice, config),
        exit=0.9 * leaves * dice.direction(),
        exit_time=dice.uniform((), 0.0, config.duration),
        camera=camera,
        target=target,
    )
    return _arrange(dice, scene, size)


def _choose_objects(
    dice: Dice,
    bank: PhotoBank,
    config: RendererConfig,
    target: int,
    in_place: Bool[Array, ""],
) -> Int[Array, " n"]:
    """Draws the bank's object for each slot: the target, its look-alikes, the occluders."""
    chosen = dice.choose((bank.inside | ~in_place).astype(jnp.float32))
    alike = bank.category == bank.category[chosen]
    others = dice.choose(jnp.where(alike, 1.0, 1e-4), (config.distractors,))
    same = dice.happens(config.same_object, (config.distractors,))
    distractors = jnp.where(same, chosen, others)
    occluders = dice.index(len(bank.cutouts), (config.occluders,))
    slots = (distractors[:target], chosen[None], distractors[target:], occluders)
    return jnp.concatenate(slots).astype(jnp.int32)


def _present(dice: Dice, config: RendererConfig, target: int) -> Bool[Array, " n"]:
    probability = jnp.array(
        [config.distractor] * target
        + [1.0]
        + [config.distractor] * (config.distractors - target)
        + [config.occluder] * config.occluders
    )
    return dice.happens(probability, probability.shape)


def _motion_strength(dice: Dice, config: RendererConfig, n: int) -> Float[Array, "n motions"]:
    """Draws the amplitude of every motion of every object."""
    travel = config.movement * config.side * jnp.sqrt(dice.uniform((n, 2)))
    turning = jnp.array([config.scale, config.rotation, config.tilt, config.tilt])
    turning = turning * dice.mild((n, 4))
    bends = jnp.broadcast_to(config.deformation * dice.mild((n, 1)), (n, BENDS))
    return jnp.concatenate([travel, turning, bends], axis=1)


def _arrange(dice: Dice, scene: Scene, size: Float[Array, ""]) -> Scene:
    """Stands the other objects so that each is close to the target at its meeting time.

    A distractor comes within 0.7 to 2 sides of the target; an occluder crosses over it.
    """
    n = len(scene.meeting)
    distance = dice.uniform((n,), 0.7, 2.0)
    distance = size * jnp.where(scene.occludes, 0.3 * distance, distance)
    offset = distance[:, None] * dice.direction((n,))
    speed = size * dice.uniform((n,), 0.03, 0.15)
    speed *= jnp.where(scene.occludes, 1.0, 0.3)
    velocity = speed[:, None] * dice.direction((n,))

    def stand(time: Float[Array, ""], beside: Float[Array, "2"]) -> Float[Array, "2"]:
        spot = target_position(scene, time) + beside
        return project(invert(scene.camera.matrix(time)), spot)

    anchor = jax.vmap(stand)(scene.meeting, offset)
    return dataclasses.replace(scene, anchor=anchor, velocity=velocity)
