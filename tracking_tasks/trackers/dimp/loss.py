"""The losses of the trackers, inner and outer."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx, struct
from jaxtyping import Array, Float

from models import correlate
from tracking_tasks import labels


class FilterSamples(struct.PyTreeNode):
    """The batch that a target filter is fitted to.

    Attributes:
        features: (n, h, w, c).
        centers: (n, 2), the target's centre x, y in feature cells.
        weights: (n,), non-negative, by convention summing to 1.
    """

    features: Float[Array, "n h w c"]
    centers: Float[Array, "n 2"]
    weights: Float[Array, " n"]


@dataclasses.dataclass(frozen=True)
class DiscriminativeLossConfig:
    """Bhat et al. 2019, section 3.4; values of the authors' code where the paper is silent.

    Attributes:
        bins: number of basis functions N.
        spacing: knot displacement, in cells.
        label_sigma: standard deviation of the initial label, in cells.
        mask_scale: the initial mask is sigmoid(mask_scale * tanh(mask_radius - distance)).
        mask_radius: in cells.
        regularization: initial lambda; its square multiplies the squared norm of the filter.
        min_regularization: lower bound of lambda.
    """

    bins: int = 100
    spacing: float = 0.1
    label_sigma: float = 0.9
    mask_scale: float = 3.0
    mask_radius: float = 2.0
    regularization: float = 0.1
    min_regularization: float = 1e-3


class DiscriminativeLoss(nnx.Module):
    """DiMP's learned hinge residuals, for `metaopt.LeastSquares` (Bhat et al. 2019, eq. 1, 2, 6).

        r = sqrt(w_j) v (m s + (1 - m) max(0, s) - y),   s = x_j * filter,   and  lambda * filter

    with label y, target mask m in [0, 1] and spatial weight v learned functions of the distance to
    the target's centre.
    """

    def __init__(self, config: DiscriminativeLossConfig) -> None:
        distance = jnp.arange(config.bins) * config.spacing
        label = labels.gaussian(distance, config.label_sigma)
        self.label = nnx.Param(label - label.min())
        self.mask = nnx.Param(config.mask_scale * jnp.tanh(config.mask_radius - distance))
        self.weight = nnx.Param(jnp.ones(config.bins))
        self.regularization = nnx.Param(jnp.asarray(config.regularization))
        self.config = config

    def maps(self, distance: Float[Array, "..."]) -> tuple[Array, Array, Array]:
        """The label, mask and weight at some distances from the target, in cells."""
        label, mask, weight = (
            labels.radial(coefficients[...], distance, self.config.spacing)
            for coefficients in (self.label, self.mask, self.weight)
        )
        return label, jax.nn.sigmoid(mask), weight

    def by_distance(self) -> dict[str, tuple[Array, Array]]:
        """Label, target mask and spatial weight at distances in cells (Bhat et al., Figure 3)."""
        distance = jnp.arange(self.config.bins) * self.config.spacing
        names = ("label", "target mask", "spatial weight")
        return {name: (distance, y) for name, y in zip(names, self.maps(distance), strict=True)}

    def linear_image(
        self, target_filter: Float[Array, "kh kw c"], samples: FilterSamples
    ) -> Float[Array, "n oh ow"]:
        """The scores s: the response of each sample to the filter."""
        return correlate(samples.features, target_filter)

    def __call__(
        self,
        target_filter: Float[Array, "kh kw c"],
        samples: FilterSamples,
        scores: Float[Array, "n oh ow"] | None = None,
    ) -> tuple[Float[Array, "n oh ow"], Float[Array, "kh kw c"]]:
        """The residuals on the samples and those of the regularizer.

        Args:
            target_filter: the filter.
            samples: what it is fitted to.
            scores: its `linear_image`, where that is known.
        """
        if scores is None:
            scores = self.linear_image(target_filter, samples)
        distance = jax.vmap(labels.distances, (0, None, None))(samples.centers, *scores.shape[1:])
        label, mask, weight = self.maps(distance)
        # m s + (1 - m) max(0, s), so written that the derivative at 0 is the mean of both sides.
        activation = 0.5 * (1 - mask) * jnp.abs(scores) + 0.5 * (1 + mask) * scores
        residuals = jnp.sqrt(samples.weights)[:, None, None] * weight * (activation - label)
        strength = jnp.maximum(jnp.abs(self.regularization[...]), self.config.min_regularization)
        return residuals, strength * target_filter


def hinge_error(
    scores: Float[Array, "..."], label: Float[Array, "..."], threshold: float
) -> Float[Array, "..."]:
    """The error s - z where the label z exceeds the threshold, else max(0, s).

    Bhat et al. 2019, eq. 8.
    """
    return jnp.where(label > threshold, scores - label, jnp.maximum(scores, 0.0))
