"""Target or not: the losses of a classifier of boxes (Jung et al., MetaRTT, AAAI 2020)."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

import metaopt


class RoISamples(struct.PyTreeNode):
    """The batch that a classifier is fitted to.

    Attributes:
        features: of the boxes, flat.
        positive: 1 for a box of the target, 0 for any other.
        weights: how much each counts, 0 or more.
    """

    features: Float[Array, "*frames n d"]
    positive: Float[Array, "*frames n"]
    weights: Float[Array, "*frames n"]

    def together(self) -> "RoISamples":
        """Those of several frames as one batch."""
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), self)


def score(logits: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """The logit of "this box is the target": logit 0 speaks for it, logit 1 against."""
    return logits[:, 0] - logits[:, 1]


def cross_entropy(logits: Float[Array, "n 2"], samples: RoISamples) -> Float[Array, ""]:
    """The weighted mean of the softmax cross-entropy (eq. 1), 0 if none counts."""
    losses = jax.nn.softplus((1 - 2 * samples.positive) * score(logits))
    return samples.weights @ losses / jnp.maximum(samples.weights.sum(), 1e-6)


def objective() -> metaopt.CompositeLoss:
    """What the inner loop minimizes; the params are the classifier itself."""
    return metaopt.CompositeLoss(
        lambda classifier, samples: classifier(samples.features), cross_entropy
    )


def triplet_loss(
    positives: Float[Array, "p 2"],
    hard: Float[Array, "m 2"],
    weights: Float[Array, " m"],
    margin: float,
) -> Float[Array, ""]:
    """The triplet loss of two positives and a hard example, over all such triplets (eqs. 5, 6).

    Outputs are L2-normalized, as the text says; equation 6 divides by the squared norm.

    Args:
        positives: logits of boxes of the target.
        hard: logits of the targets of other videos.
        weights: how much each of these counts, 0 or more.
        margin: xi.
    """
    unit = lambda x: x * jax.lax.rsqrt(jnp.sum(x**2, -1, keepdims=True) + 1e-9)
    distance = lambda a, b: jnp.sum((unit(a)[:, None] - unit(b)) ** 2, -1)
    close, far = distance(positives, positives), distance(positives, hard)
    excess = jax.nn.relu(margin + close[:, :, None] - far[:, None])
    others = 1 - jnp.eye(len(positives))
    counts = others[:, :, None] * weights
    return jnp.sum(counts * excess) / jnp.maximum(counts.sum(), 1e-6)
