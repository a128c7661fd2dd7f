"""Samples of the first frame, seen in other ways (Bhat et al. 2019, section 3.7)."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from tracking_tasks import crops


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
    """Values of the published DiMP tracker (parameter/dimp/dimp50.py) unless noted.

    Attributes:
        shift: displacement of the four shifted samples along both axes, in half crops.
        blurs: standard deviations (vertical, horizontal), in hundredths of the crop.
        rotations: in degrees.
        random_shift: largest random displacement of the other samples, in crops.
        dropout_copies: copies of the first sample with feature channels dropped.
        dropout: share of channels dropped.
        seed: of the random shifts and dropped channels; the published tracker is not seeded.
    """

    shift: float = 0.6
    blurs: tuple[tuple[float, float], ...] = ((1.04, 0.35), (0.35, 1.04), (0.69, 0.69))
    rotations: tuple[float, ...] = (10.0, -10.0, 45.0, -45.0)
    random_shift: float = 1 / 6
    dropout_copies: int = 2
    dropout: float = 0.2
    seed: int = 0


def first_frame_samples(
    frame: UInt8[Array, "h w 3"],
    extent: Int[Array, "2"],
    center: Float[Array, "2"],
    side: Float[Array, ""],
    size: int,
    config: AugmentationConfig,
) -> tuple[Float[Array, "n size size 3"], Float[Array, "n 2"]]:
    """The identity, four shifts, a flip, blurs and rotations of the search region.

    All are cut from one crop of twice the side, so that shifts and rotations show real background.

    Returns:
        The samples, the untouched one first, and the offset x, y of the target's centre from the
        middle of each, in crop pixels.
    """
    wide = crops.crop(frame, extent, center, 2 * side, 2 * size)
    far = round(config.shift * size / 2)
    corners = jnp.array([[0, 0], [far, far], [-far, far], [far, -far], [-far, -far]])
    others = [wide[:, ::-1]]
    for vertical, horizontal in config.blurs:
        others.append(crops.blur(wide, (vertical * size / 100, horizontal * size / 100)))
    if config.rotations:
        turn = lambda degrees: crops.rotate(wide, degrees)
        others.extend(jax.lax.map(turn, jnp.array(config.rotations)))

    reach = round(config.random_shift * size)
    shift_key, _ = jax.random.split(jax.random.key(config.seed))
    random = jax.random.randint(shift_key, (len(others), 2), -reach, reach + 1)
    sources = [wide] * len(corners) + others
    offsets = jnp.concatenate([corners, random])
    samples = [
        jax.lax.dynamic_slice(source, (size // 2 - dy, size // 2 - dx, 0), (size, size, 3))
        for source, (dx, dy) in zip(sources, offsets, strict=True)
    ]
    return jnp.stack(samples), offsets.astype(jnp.float32)


def stretched_samples(
    frame: UInt8[Array, "h w 3"],
    extent: Int[Array, "2"],
    center: Float[Array, "2"],
    side: Float[Array, ""],
    size: int,
    views: Sequence[tuple[float, float]],
) -> Float[Array, "n size size 3"]:
    """The search region with the target stretched (Yang et al., "ROAM", CVPR 2020, section 4).

    Args:
        frame: RGB.
        extent: width and height of the picture in it.
        center: x, y of the target in frame pixels.
        side: of the search region in frame pixels.
        size: side of the samples.
        views: for each sample the factors on the target's width and height.
    """
    sides = side / jnp.array(views)
    return jax.vmap(lambda one: crops.crop(frame, extent, center, one, size))(sides)


def drop_channels(
    features: Float[Array, "n h w c"], config: AugmentationConfig
) -> Float[Array, "m h w c"]:
    """Appends copies of the first sample with whole channels dropped and the rest scaled up."""
    copies, channels = config.dropout_copies, features.shape[-1]
    _, drop_key = jax.random.split(jax.random.key(config.seed))
    keep = jax.random.bernoulli(drop_key, 1 - config.dropout, (copies, 1, 1, channels))
    return jnp.concatenate([features, features[:1] * keep / (1 - config.dropout)])
