"""Episodes for meta-training, cut from rendered or recorded videos."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8, UInt32

from tracking_tasks import boxes, crops
from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import RendererConfig, render
from tracking_tasks.trackers import Episode


@dataclasses.dataclass(frozen=True)
class EpisodeConfig:
    """How episodes are cut from videos: Bhat et al. 2019, section 3.6, and its published code.

    Attributes:
        crop_size: side of the crops in pixels.
        search_factor: side of a crop in square roots of the target's area.
        support: support frames, from the first half of a segment (paper: 3).
        query: query frames, from its second half (paper: 3).
        segment: length of a segment in frames (paper: 60).
        support_shift, query_shift: largest displacement of a crop from the target along an axis,
            in halves of the square root of the target's area (code: 3 and 4.5; here less, since
            photographs end close to their objects).
        support_scale, query_scale: standard deviation of the natural logarithm of a random factor
            on the side of a crop (code: 0.25 and 0.5; here less, as is met in tracking).
        brightness: largest relative change of a frame's brightness (code: 0.2).
        grayscale: probability that a whole episode is grey (code: 0.05).
        least_visible: a frame that shows less than this share of the target counts for nothing.
    """

    crop_size: int = 192
    search_factor: float = 5.0
    support: int = 3
    query: int = 3
    segment: float = 60.0
    support_shift: float = 2.0
    query_shift: float = 3.0
    support_scale: float = 0.15
    query_scale: float = 0.25
    brightness: float = 0.2
    grayscale: float = 0.05
    least_visible: float = 0.3


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
    n = config.support
    role = lambda support, query: jnp.array([support] * n + [query] * config.query)
    frame_keys = jax.random.split(keys[4], n + config.query)
    jitter = jnp.stack(
        [
            role(config.support_shift, config.query_shift),
            role(config.support_scale, config.query_scale),
        ],
        -1,
    )
    images, cropped = jax.lax.map(
        lambda one: _jittered_crop(config, *one),
        (frame_keys, clip.frames, clip.extents, clip.boxes, jitter),
    )
    grey = jax.random.bernoulli(keys[5], config.grayscale)
    images = jnp.where(grey, jnp.broadcast_to(images.mean(-1, keepdims=True), images.shape), images)
    seen = (clip.visible >= config.least_visible).astype(jnp.float32)
    return Episode(
        support_images=images[:n],
        support_boxes=cropped[:n],
        support_weights=seen[:n] / jnp.maximum(seen[:n].sum(), 1.0),
        query_images=images[n:],
        query_boxes=cropped[n:],
        query_weights=seen[n:] / jnp.maximum(seen[n:].sum(), 1.0),
        key=jax.random.fold_in(key, len(keys)),
    )


def _jittered_crop(
    config: EpisodeConfig,
    key: Key[Array, ""],
    frame: UInt8[Array, "h w 3"],
    extent: Int[Array, "2"],
    box: Float[Array, "4"],
    jitter: Float[Array, "2"],
) -> tuple[Float[Array, "s s 3"], Float[Array, "4"]]:
    """A search region around the target, randomly off in place, size and brightness."""
    shift, scale = jitter
    keys = jax.random.split(key, 3)
    side = config.search_factor * jnp.sqrt(jnp.maximum(box[2] * box[3], 1.0))
    # The target itself stays in the crop however far it is off.
    reach = jnp.minimum(shift, config.search_factor - 1.0) / (2 * config.search_factor)
    side = side * jnp.exp(scale * jax.random.normal(keys[0]))
    center = boxes.center(box) + side * jax.random.uniform(
        keys[1], (2,), minval=-reach, maxval=reach
    )
    image = crops.crop(frame, extent, center, side, config.crop_size)
    gain = 1 + config.brightness * jax.random.uniform(keys[2], minval=-1.0)
    to_crop = config.crop_size / side
    corner = (box[:2] - (center - side / 2)) * to_crop
    return jnp.clip(gain * image, 0.0, 255.0), jnp.concatenate([corner, box[2:] * to_crop])
