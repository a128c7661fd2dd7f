"""Masks on the channels of a classifier of boxes, and the classifier without the masked ones.

Jung et al., "Real-Time Object Tracking via Meta-Learning", AAAI 2020, section 4.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from basics.leaves import with_leaves
from models import MLP
from models.layers.channel_masks import Masks
from models.layers.fast_convolutions import PointwiseConv

Layers = tuple[Float[Array, "n _"], ...]


def layers(
    classifier: MLP, features: Float[Array, "n d"], masks: Masks | None = None
) -> tuple[Layers, Float[Array, "n 2"]]:
    """The features of every layer that can be masked, and the logits (eq. 10).

    Args:
        classifier: fully connected layers; the layer that they share their features with is first.
        features: the samples, channels last.
        masks: a factor for each channel of each layer.
    """
    if masks is not None:
        features = features * jnp.tile(masks[0], features.shape[-1] // len(masks[0]))
    found = [features]
    for index, layer in enumerate(classifier.hidden, 1):
        x = jax.nn.relu(layer(found[-1]))
        found.append(x if masks is None else masks[index] * x)
    return tuple(found), classifier.last(found[-1])


def averaged(found: Layers, channels: int) -> Layers:
    """What the network of masks sees: each layer averaged over space."""
    shared = found[0].reshape(len(found[0]), -1, channels).mean(1)
    return (shared, *found[1:])


def lasso(
    classifier: MLP,
    features: Float[Array, "n d"],
    weights: Float[Array, " n"],
    masks: Masks,
    sparsity: float,
) -> Float[Array, ""]:
    """How far masks change the features of all layers, and how few channels they leave (eq. 9).

    Args:
        classifier: the layers.
        features: the samples.
        weights: how much each sample counts.
        masks: a factor for each channel.
        sparsity: lambda.
    """
    whole, masked = layers(classifier, features), layers(classifier, features, masks)
    # The square root has no finite slope where nothing was changed.
    distance = lambda a, b: jnp.sqrt(jnp.sum((a - b) ** 2, -1) + 1e-9)
    changes = jax.tree.map(distance, whole, masked)
    change = sum(jax.tree.leaves(changes)) @ weights / jnp.maximum(weights.sum(), 1e-6)
    return sparsity * sum(jnp.abs(mask).sum() for mask in masks) + change


def prune(
    shared: PointwiseConv, classifier: MLP, masks: Masks, kept: float
) -> tuple[PointwiseConv, MLP]:
    """Removes all but a share of the channels of every layer, those of the largest masks.

    The factors of those that stay go into the layer after, so that the logits are those of the
    masked classifier whose other channels are masked by 0.

    Args:
        shared: the layer before the classifier.
        classifier: fully connected layers.
        masks: a factor for each channel of the shared layer and the hidden ones.
        kept: in (0, 1].
    """
    best = [
        jnp.sort(jax.lax.top_k(jnp.abs(mask), max(1, round(kept * len(mask))))[1]) for mask in masks
    ]
    leaves = {}
    # The inputs of the first hidden layer are the shared channels, once for each sample of a box.
    places = classifier.hidden[0].kernel.shape[0] // len(masks[0])
    inputs = (jnp.arange(places)[:, None] * len(masks[0]) + best[0]).ravel()
    factors = jnp.tile(masks[0][best[0]], places)
    for index, layer in enumerate(classifier.hidden):
        outputs = best[index + 1]
        leaves[f"hidden.{index}.kernel"] = layer.kernel[...][inputs][:, outputs] * factors[:, None]
        leaves[f"hidden.{index}.bias"] = layer.bias[...][outputs]
        inputs, factors = outputs, masks[index + 1][outputs]
    leaves["last.kernel"] = classifier.last.kernel[...][inputs] * factors[:, None]
    smaller = with_leaves(
        shared, {"kernel": shared.kernel[...][:, best[0]], "bias": shared.bias[...][best[0]]}
    )
    return smaller, with_leaves(classifier, leaves)
