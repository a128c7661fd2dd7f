"""Episodes that are clips: patches of the first frame, and later frames in blocks (ROAM)."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Key

from models import Features, Grid
from tracking_tasks import boxes
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.roam.model import (
    ResizableConfig,
    ResizableModel,
    ResizableOutputs,
    ResizableSamples,
    outputs,
)
from tracking_tasks.trackers.roam.search import Past, SearchConfig, search

_CROPS_AT_ONCE = 8  # bounds the backbone's memory


class ClipSamples(struct.PyTreeNode):
    """What the backbone saw in a clip.

    Attributes:
        first: samples of the first frame.
        blocks: of the later ones, with a leading axis of blocks.
        key: of the episode.
    """

    first: ResizableSamples
    blocks: ResizableSamples
    key: Key[Array, "*batch"]


class Updates(NamedTuple):
    """What the updates of a clip did.

    Attributes:
        models: after each update.
        losses: before each, on what it is fitted to.
        first_loss: after the first one.
    """

    models: ResizableModel
    losses: Float[Array, " blocks"]
    first_loss: Float[Array, ""]


def from_episode(
    episode: Episode,
    grid: Grid,
    features: Callable[[Float[Array, "n s s 3"] | Features], Float[Array, "n h w c"]],
    shape: Callable[[Float[Array, "*batch 2"]], Float[Array, "*batch 2"]],
    blocks: int,
) -> ClipSamples:
    """The samples of an episode whose query frames are in the order of time.

    Args:
        episode: its first support image shows the target as it is.
        grid: of the backbone.
        features: what is to be seen in crops; called once for each.
        shape: width and height of the filters' target, in cells, by those of a box.
        blocks: the number of equal blocks of the query frames.
    """
    both = episode.support_images, episode.query_images
    images = jax.tree.map(lambda *parts: jnp.concatenate(parts), *both)
    one = lambda image: features(jax.tree.map(lambda leaf: leaf[None], image))[0]
    maps = jax.lax.map(one, images, batch_size=_CROPS_AT_ONCE)
    n = len(episode.support_boxes)
    first = ResizableSamples(
        maps[:n],
        grid.boxes_to_cells(episode.support_boxes),
        episode.support_weights,
        shape(episode.support_boxes[0, 2:]),
    )
    in_blocks = lambda leaf: leaf.reshape(blocks, -1, *leaf.shape[1:])
    seen = in_blocks((episode.query_weights > 0).astype(jnp.float32))
    where = in_blocks(episode.query_boxes)
    later = ResizableSamples(
        in_blocks(maps[n:]),
        grid.boxes_to_cells(where),
        seen / jnp.maximum(seen.sum(-1, keepdims=True), 1.0),
        shape(where[:, -1, 2:]),
    )
    return ClipSamples(first, later, episode.key)


def random_frames(key: Array, clip: ClipSamples, count: int) -> ResizableSamples:
    """`count` frames of each block, shaped by what was known before it: the block before, or first.

    Yang et al., "ROAM", CVPR 2020, eq. 13, where it is one frame.
    """
    blocks = clip.blocks
    keys = jax.random.split(key, len(blocks.weights))
    choose = lambda key: jax.random.permutation(key, blocks.weights.shape[1])[:count]
    indices = jax.vmap(choose)(keys)
    pick = lambda leaf: jax.vmap(lambda block, chosen: block[chosen])(leaf, indices)
    visible = (pick(blocks.weights) > 0).astype(jnp.float32)
    return ResizableSamples(
        pick(blocks.features),
        pick(blocks.boxes),
        visible / jnp.maximum(visible.sum(-1, keepdims=True), 1.0),
        jnp.concatenate([clip.first.target[None], blocks.target[:-1]]),
    )


def beside_first(
    share: float,
    features: Float[Array, "h w c"],
    boxes: Float[Array, "4"],
    samples: ResizableSamples,
) -> ResizableSamples:
    """The samples of each step, and beside them the first frame, which has a share of the weight.

    Args:
        share: of the first frame, in [0, 1].
        features: of the first frame.
        boxes: the target in it, in cells.
        samples: with a leading axis of steps.
    """
    steps = len(samples.target)

    def both(first: Array, rest: Array) -> Array:
        return jnp.concatenate([jnp.broadcast_to(first, (steps, 1, *first.shape)), rest], 1)

    return samples.replace(
        features=both(features, samples.features),
        boxes=both(boxes, samples.boxes),
        weights=both(jnp.asarray(share), (1 - share) * samples.weights),
    )


def estimated_boxes(
    config: ResizableConfig,
    search_config: SearchConfig,
    model: ResizableModel,
    first: ResizableSamples,
    blocks: ResizableSamples,
) -> Float[Array, "blocks n 4"]:
    """Where a model, searching from the true place, finds the target in the frames of each block.

    The size is followed without smoothing: online, the errors that smoothing leaves add up. No
    gradient passes.

    Args:
        config: constants of the model.
        search_config: those of the search, but for how boxes and sizes are found.
        model: the inner parameters.
        first: of a clip.
        blocks: of a clip, or some of them.
    """
    search_config = dataclasses.replace(search_config, boxes="regression", size_lr=1.0)
    shape = first.target
    reference = outputs(config, model, first.features[:1], shape).response.max()

    def find(response: Array, deltas: Array, box: Array) -> Array:
        size = jnp.maximum(box[2:], 1.0)  # in a frame that does not show it there is none
        past = Past(boxes.center(box), size, shape, size, jnp.array(False), reference)
        seen = ResizableOutputs(response[None], deltas[:, None])
        found = search(config, search_config, seen, past, jnp.ones(1), jnp.ones(1, bool))
        return boxes.from_center(past.middle + found.shift, found.size)

    def of_block(block: ResizableSamples) -> Array:
        seen = outputs(config, model, block.features, shape)
        return jax.vmap(find, (0, 1, 0))(seen.response, seen.deltas, block.boxes)

    return jax.lax.stop_gradient(jax.lax.map(of_block, blocks))
