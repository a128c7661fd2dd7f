"""Episodes for meta-training, cut from rendered or recorded videos."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8, UInt32

from tracking_tasks import boxes, crops
from tracking_tasks.data import degradation
from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import RendererConfig, render
from tracking_tasks.episode import Episode, EpisodeConfig


class Clip(NamedTuple):
    """Frames of one target, or with a leading axis of several: what an episode is cut from.

    Attributes:
        frames: those of the support, then those of the query; RGB.
        extents: width and height of the picture within each frame, in pixels.
        boxes: x, y, w, h in pixels of the frame.
        visible: the share of the target that can be seen.
    """

    frames: UInt8[Array, "*batch frames h w 3"]
    extents: Int[Array, "*batch frames 2"]
    boxes: Float[Array, "*batch frames 4"]
    visible: Float[Array, "*batch frames"]


@functools.partial(jax.jit, static_argnames=("config", "renderer"))
def sample_episodes(
    keys: Key[Array, " episodes"], bank: PhotoBank, config: EpisodeConfig, renderer: RendererConfig
) -> Episode:
    """Renders a random episode for each key; every leaf has a leading axis of episodes.

    Pure in the keys: the same arguments give the same episodes.
    """
    # One after the other: batched gathers are several times slower on a CPU.
    return jax.lax.map(lambda one: _sample_episode(one, bank, config, renderer), keys)


@functools.partial(jax.jit, static_argnames="config")
def cut_episodes(seeds: UInt32[Array, " episodes"], clips: Clip, config: EpisodeConfig) -> Episode:
    """Cuts an episode from each clip, just as from a rendered video; pure in the seeds."""
    cut = lambda one: _cut(jax.random.key(one[0]), one[1], config)
    return jax.lax.map(cut, (seeds, clips))


def _sample_episode(
    key: Key[Array, ""], bank: PhotoBank, config: EpisodeConfig, renderer: RendererConfig
) -> Episode:
    keys = jax.random.split(key, 6)
    start = jax.random.uniform(keys[0], maxval=max(renderer.duration - config.segment, 0.0))
    frames = config.support + config.query
    if config.in_order:
        times = start + config.segment * jnp.arange(frames) / frames
    else:
        first = jnp.sort(jax.random.uniform(keys[1], (config.support,)))
        second = jnp.sort(jax.random.uniform(keys[2], (config.query,)))
        times = start + config.segment / 2 * jnp.concatenate([first, 1 + second])
    video = render(keys[3], bank, renderer, times)
    extents = jnp.broadcast_to(jnp.array(video.frames.shape[2:0:-1]), (len(times), 2))
    clip = Clip(video.frames, extents, video.boxes, video.visible)
    return _cut(key, clip, config)


def _cut(key: Key[Array, ""], clip: Clip, config: EpisodeConfig) -> Episode:
    """Jitters and weighs; the first four keys that `key` splits into are the renderer's."""
    keys = jax.random.split(key, 6)
    frames = config.support + config.query
    shown = [(frame, view) for frame in range(config.support) for view in config.views]
    n = len(shown)
    shown += [(frame, (1.0, 1.0)) for frame in range(config.support, frames)]
    index = jnp.array([frame for frame, _ in shown])
    view = jnp.array([view for _, view in shown])
    role = lambda support, query: jnp.array([support] * n + [query] * config.query)
    jitter = _Jitter(
        role(config.support_shift, config.query_shift),
        role(config.support_scale, config.query_scale),
        role(0.0, config.query_stretch),
    )

    def crop(one: tuple[Array, Array, Array, _Jitter]) -> tuple[Array, Array]:
        key, frame, view, jitter = one
        seen = clip.frames[frame], clip.extents[frame], clip.boxes[frame]
        return _jittered_crop(config, key, *seen, view, jitter)

    crop_keys = jax.random.split(keys[4], len(shown))
    images, cropped = jax.lax.map(crop, (crop_keys, index, view, jitter))
    grey = jax.random.bernoulli(keys[5], config.grayscale)
    images = jnp.where(grey, jnp.broadcast_to(images.mean(-1, keepdims=True), images.shape), images)
    images, cropped = _mirror(jax.random.fold_in(key, len(keys) + 1), images, cropped, config)
    images = _degrade(jax.random.fold_in(key, len(keys) + 2), images, n, config)
    seen = (clip.visible[index] >= config.min_visible).astype(jnp.float32)
    return Episode(
        support_images=images[:n],
        support_boxes=cropped[:n],
        support_weights=seen[:n] / jnp.maximum(seen[:n].sum(), 1.0),
        query_images=images[n:],
        query_boxes=cropped[n:],
        query_weights=seen[n:] / jnp.maximum(seen[n:].sum(), 1.0),
        key=jax.random.fold_in(key, len(keys)),
    )


def _mirror(
    key: Key[Array, ""],
    images: Float[Array, "n s s 3"],
    cropped: Float[Array, "n 4"],
    config: EpisodeConfig,
) -> tuple[Float[Array, "n s s 3"], Float[Array, "n 4"]]:
    """Swaps left and right of the crops and of the boxes in them, or does not."""
    swap = jax.random.bernoulli(key, config.mirrored)
    swapped = cropped.at[:, 0].set(config.crop_size - cropped[:, 0] - cropped[:, 2])
    return jnp.where(swap, images[:, :, ::-1], images), jnp.where(swap, swapped, cropped)


def _degrade(
    key: Key[Array, ""], images: Float[Array, "n s s 3"], support: int, config: EpisodeConfig
) -> Float[Array, "n s s 3"]:
    """Makes the crops, first those of the support, as bad as their video is drawn to be."""
    if not config.degradation.share:
        return images
    keys = jax.random.split(key, 4)
    first, other = (degradation.draw(key, config.degradation) for key in keys[:2])
    differs = jax.random.bernoulli(keys[2], config.degradation.other)
    second = jax.tree.map(lambda one, two: jnp.where(differs, two, one), first, other)

    def one(numbered: tuple[Array, Array]) -> Array:
        index, image = numbered
        how = jax.tree.map(lambda s, q: jnp.where(index < support, s, q), first, second)
        motion_key, noise_key = jax.random.split(jax.random.fold_in(keys[3], index))
        # What shakes does not do so equally at every moment.
        how = how._replace(motion=how.motion * jax.random.uniform(motion_key))
        return degradation.degrade(image, how, noise_key)

    return jax.lax.map(one, (jnp.arange(len(images)), images))


class _Jitter(NamedTuple):
    """How far a crop may be off, in the units of `EpisodeConfig`."""

    shift: Float[Array, "*crops"]
    scale: Float[Array, "*crops"]
    stretch: Float[Array, "*crops"]


def _jittered_crop(
    config: EpisodeConfig,
    key: Key[Array, ""],
    frame: UInt8[Array, "h w 3"],
    extent: Int[Array, "2"],
    box: Float[Array, "4"],
    view: Float[Array, "2"],
    jitter: _Jitter,
) -> tuple[Float[Array, "s s 3"], Float[Array, "4"]]:
    """A search region around the target, randomly off in place, size, shape and brightness."""
    keys = jax.random.split(key, 3)
    side = config.search_factor * jnp.sqrt(jnp.maximum(box[2] * box[3], 1.0))
    # The target itself stays in the crop however far it is off.
    reach = jnp.minimum(jitter.shift, config.search_factor - 1.0) / (2 * config.search_factor)
    side = side * jnp.exp(jitter.scale * jax.random.normal(keys[0]))
    stretch = jnp.exp(jitter.stretch * jax.random.uniform(jax.random.fold_in(key, 3), minval=-1.0))
    sides = side / (view * jnp.stack([stretch, 1 / stretch]))
    center = boxes.center(box) + sides * jax.random.uniform(
        keys[1], (2,), minval=-reach, maxval=reach
    )
    image = crops.crop(frame, extent, center, sides, config.crop_size)
    gain = 1 + config.brightness * jax.random.uniform(keys[2], minval=-1.0)
    to_crop = config.crop_size / sides
    corner = (box[:2] - (center - sides / 2)) * to_crop
    return jnp.clip(gain * image, 0.0, 255.0), jnp.concatenate([corner, box[2:] * to_crop])
