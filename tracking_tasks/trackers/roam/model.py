"""ROAM's tracking model and its loss: a response map and boxes relative to anchors."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, PyTree, Scalar

import metaopt
from models import ResizableHead
from tracking_tasks import boxes, labels
from tracking_tasks.trackers.roam import anchors

_SMALLEST = 0.1  # cells


@dataclasses.dataclass(frozen=True)
class ResizableConfig:
    """The model's constants; "paper" is Yang et al., CVPR 2020, "code" their published one.

    Attributes:
        channels: after reduction (here, for the speed of the online update; paper 64).
        filter_size: side of the filters as they are stored, in cells (here the warped size of a
            square target, as the paper's 21 of stride 4).
        support: largest side of a warped filter in cells; of longer targets the ends are not seen
            (here, since shapes have to be static).
        context: warped filter over target, rho (paper, section 5).
        sharpness: alpha of the label (paper, section 5).
        anchors: for each sample, boxes are regressed from so many anchors, those that overlap the
            target most (code: 32 of its finer grid).
        min_error: cells of the background that are less wrong do not count (code).
        max_log: bound on the logarithm of size over anchor (here).
    """

    channels: int = 32
    filter_size: int = 9
    support: int = 11
    context: float = 1.5
    sharpness: float = 20.0
    anchors: int = 9
    min_error: float = 0.1
    max_log: float = 1.5

    def warped_size(self, target: Float[Array, "2"]) -> Float[Array, "2"]:
        """Width and height of the filters for a target of that width and height, all in cells.

        Paper, eq. 4 and 5: odd, and never larger than the support.
        """
        size = jnp.ceil(self.context * target)
        return jnp.clip(size - size % 2 + 1, 3, self.support)


class ResizableModel(struct.PyTreeNode):
    """The inner parameters: two heads on the same features (paper, eq. 1).

    Attributes:
        response: a `ResizableHead` of one output, high where the target is.
        regression: one of four, the target's box relative to an anchor.
    """

    response: PyTree
    regression: PyTree

    @classmethod
    def create(cls, key: Array, features: int, config: ResizableConfig) -> "ResizableModel":
        """The heads as `ResizableHead.create` makes them."""
        keys = jax.random.split(key)
        return cls(
            *(
                ResizableHead.create(key, features, config.channels, config.filter_size, outputs)
                for key, outputs in zip(keys, (1, 4), strict=True)
            )
        )


class ResizableSamples(struct.PyTreeNode):
    """What the model is fitted to.

    Attributes:
        features: feature maps.
        boxes: x, y, w, h of the target in cells.
        weights: of the samples; their sum is 1, or 0 for no samples.
        target: width and height in cells by which the filters and the anchors are shaped.
    """

    features: Float[Array, "*batch n h w c"]
    boxes: Float[Array, "*batch n 4"]
    weights: Float[Array, "*batch n"]
    target: Float[Array, "*batch 2"]


class ResizableOutputs(struct.PyTreeNode):
    """Attributes: response (n, h, w) and boxes relative to the anchors (4, n, h, w)."""

    response: PyTree  # second-order rules put the products of two in the place of the arrays
    deltas: PyTree


def outputs(
    config: ResizableConfig,
    model: ResizableModel,
    features: Float[Array, "n h w c"],
    target: Float[Array, "2"],
) -> ResizableOutputs:
    """What the model says about feature maps, shaped for a target of that size in cells."""
    size = config.warped_size(target)
    return ResizableOutputs(
        model.response(features, size, config.support)[0],
        model.regression(features, size, config.support),
    )


def mixed_outputs(
    config: ResizableConfig,
    model: ResizableModel,
    other: ResizableModel,
    share: float,
    features: Float[Array, "n h w c"],
    target: Float[Array, "2"],
) -> ResizableOutputs:
    """The outputs of a model, but `share` of the response is that of another."""
    seen, others = (outputs(config, each, features, target) for each in (model, other))
    return seen.replace(response=(1 - share) * seen.response + share * others.response)


def objective(config: ResizableConfig) -> metaopt.CompositeLoss:
    """Paper, eq. 7 and 12, for `ResizableModel` and `ResizableSamples`.

    The squared error of the response is two means added: over the target, weighted by the label,
    and over that of the background, weighted by one minus the label, which is wrong by
    `min_error` or more. In the paper's plain sum the many cells of the background leave a single
    step no room. The published code takes one mean over all cells that are wrong, each times
    exp(label): meta-training lowers that by being a little wrong everywhere.

    The smooth L1 loss is summed over the four numbers of a box and averaged over anchors. The
    anchors have the size of the target: eq. 6 divides the odd sizes of the filters instead, which
    on a coarse grid is another.
    """

    def criterion(seen: ResizableOutputs, samples: ResizableSamples) -> Scalar:
        # A frame without the target weighs nothing, but must not make NaN of it.
        size = jnp.maximum(samples.boxes[..., 2:], _SMALLEST)
        targets = jnp.concatenate([samples.boxes[..., :2], size], -1)
        wanted = jax.vmap(lambda box: _label(config, box, *seen.response.shape[1:]))(targets)
        errors = (seen.response - wanted) ** 2
        wrong = jax.lax.stop_gradient(errors) >= config.min_error**2
        background = jnp.where(wrong, 1 - wanted, 0.0)
        errors = _mean(errors, wanted) + _mean(errors, background)
        anchor = samples.target
        positive, deltas = jax.vmap(lambda box: _boxes(config, box, anchor, *wanted.shape[1:]))(
            targets
        )
        distance = optax.losses.huber_loss(jnp.moveaxis(seen.deltas, 1, 0), deltas).sum(1)
        return samples.weights @ (errors + _mean(distance, positive.astype(float)))

    return metaopt.CompositeLoss(
        lambda model, samples: outputs(config, model, samples.features, samples.target), criterion
    )


def _mean(errors: Float[Array, "n h w"], weights: Float[Array, "n h w"]) -> Float[Array, " n"]:
    """Of each map, weighted; less where the weights do not sum to one."""
    return jnp.sum(weights * errors, (1, 2)) / jnp.maximum(weights.sum((1, 2)), 1.0)


def _label(
    config: ResizableConfig, box: Float[Array, "4"], height: int, width: int
) -> Float[Array, "h w"]:
    return labels.elliptic(boxes.center(box), box[2:], height, width, config.sharpness)


def _boxes(
    config: ResizableConfig,
    box: Float[Array, "4"],
    anchor: Float[Array, "2"],
    height: int,
    width: int,
) -> tuple[Bool[Array, "h w"], Float[Array, "4 h w"]]:
    """Which anchors the box is regressed from, and what they should say."""
    positive = anchors.closest(box, anchor, height, width, config.anchors)
    return positive, anchors.deltas(box, anchor, height, width)
