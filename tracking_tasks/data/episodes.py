"""Episodes for meta-training, cut from rendered videos."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

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


@functools.partial(jax.jit, static_argnames=("config", "renderer"))
def sample_episodes(
    keys: Key[Array, " episodes"], bank: PhotoBank, config: EpisodeConfig, renderer: RendererConfig
) -> Episode:
    """Renders a random episode for each key; every leaf has a leading axis of episodes.

    Pure in the keys: the same arguments give the same episodes.
    """
    # One after the other: batched gathers are several times slower on a CPU.
    return jax.lax.map(lambda one: _sample_episode(one, bank, config, renderer), keys)


def _sample_episode(
    key: Key[Array, ""], bank: PhotoBank, config: EpisodeConfig, renderer: RendererConfig
) -> Episode:
    keys = jax.random.split(key, 6)
    start = jax.random.uniform(keys[0], maxval=max(renderer.duration - config.segment, 0.0))
    n = config.support
    first = jnp.sort(jax.random.uniform(keys[1], (n,)))
    second = jnp.sort(jax.random.uniform(keys[2], (config.query,)))
    times = start + config.segment / 2 * jnp.concatenate([first, 1 + second])
    video = render(keys[3], bank, renderer, times)

    role = lambda support, query: jnp.array([support] * n + [query] * config.query)
    frame_keys = jax.random.split(keys[4], len(times))
    jitter = jnp.stack(
        [
            role(config.support_shift, config.query_shift),
            role(config.support_scale, config.query_scale),
        ],
        -1,
    )
    images, cropped = jax.lax.map(
        lambda frame: _jittered_crop(frame[0], frame[1], frame[2], frame[3], config),
        (frame_keys, video.frames, video.boxes, jitter),
    )
    grey = jax.random.bernoulli(keys[5], config.grayscale)
    images = jnp.where(grey, jnp.broadcast_to(images.mean(-1, keepdims=True), images.shape), images)
    seen = (video.visible >= config.least_visible).astype(jnp.float32)
    return Episode(
        support_images=images[:n],
        support_boxes=cropped[:n],
        support_weights=seen[:n] / jnp.maximum(seen[:n].sum(), 1.0),
        query_images=images[n:],
        query_boxes=cropped[n:],
        query_weights=seen[n:] / jnp.maximum(seen[n:].sum(), 1.0),
    )


def _jittered_crop(
    key: Key[Array, ""],
    frame: Array,
    box: Float[Array, "4"],
    jitter: Float[Array, "2"],
    config: EpisodeConfig,
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
    extent = jnp.array(frame.shape[1::-1])
    image = crops.crop(frame, extent, center, side, config.crop_size)
    gain = 1 + config.brightness * jax.random.uniform(keys[2], minval=-1.0)
    to_crop = config.crop_size / side
    corner = (box[:2] - (center - side / 2)) * to_crop
    return jnp.clip(gain * image, 0.0, 255.0), jnp.concatenate([corner, box[2:] * to_crop])
