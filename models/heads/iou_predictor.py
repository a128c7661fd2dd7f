"""The network that predicts how well a box overlaps with the target: ATOM's IoU predictor.

Danelljan, Bhat, Khan, Felsberg, "ATOM: Accurate Tracking by Overlap Maximization", CVPR 2019,
section 3.1, as used in DiMP (Bhat et al. 2019, section 3.5). Made to learn from thousands of
episodes instead of millions, it differs from ATOM in three ways: reference and query share their
convolution, the modulation starts as the pooled reference itself, so that the product with the
query is a similarity from the first step on, and a box is pooled together with its surroundings.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import STRIDE, Features, Grid
from models.heads.filter_head import normalize
from models.layers.prroi import precise_roi_pool

# On the two levels: bins of the target's appearance (ATOM, Figure 3), bins of a box with its
# surroundings, and the side of the region they cover, in sides of the box.
_REFERENCE_BINS = (3, 1)
_BOX_BINS = (6, 4)
_SURROUNDINGS = (1.5, 2.0)
_NOISE = 0.02  # scale of the random part of the initial modulation

Maps = tuple[Float[Array, "*batch h w c"], Float[Array, "*batch h2 w2 c"]]


class Modulation(NamedTuple):
    """What to look for: a gain for each channel of each level."""

    fine: Float[Array, " c"]
    coarse: Float[Array, " c"]


class IoUPredictor(nnx.Module):
    """Predicts the overlap of boxes with a target that was seen in a reference image.

    The reference gives a gain per channel (the modulation), which the features of a query image are
    multiplied with, once an image. A box then costs two small pools and three small products, and
    the prediction is differentiable in it.

    Args:
        channels: of the backbone's two levels.
        grid: where their cells lie.
        width: channels of everything inside.
        rngs: for the initial parameters.
    """

    def __init__(self, channels: Sequence[int], grid: Grid, width: int, rngs: nnx.Rngs) -> None:
        self.grid = grid
        self.convs = nnx.List([nnx.Conv(inputs, width, (3, 3), rngs=rngs) for inputs in channels])
        counts = [width * bins**2 for bins in _REFERENCE_BINS]
        self.modulations = nnx.List([nnx.Linear(sum(counts), width, rngs=rngs) for _ in channels])
        starts = (0, counts[0])
        for layer, start, bins in zip(self.modulations, starts, _REFERENCE_BINS, strict=True):
            mean = jnp.tile(jnp.eye(width), (bins**2, 1)) / bins**2
            random = _NOISE * layer.kernel[...]
            layer.kernel[...] = random.at[start : start + len(mean)].add(mean)
        self.boxes = nnx.List([nnx.Linear(width * bins**2, width, rngs=rngs) for bins in _BOX_BINS])
        self.output = nnx.Linear(width * len(_BOX_BINS), 1, rngs=rngs)

    def modulation(self, reference: Features, box: Float[Array, "4"]) -> Modulation:
        """What to look for, from one image.

        Args:
            reference: features of the reference image, without an axis of images.
            box: the target in it; x, y, width, height in pixels of the image.
        """
        fine, coarse = self._convolve(Features(*(level[None] for level in reference)))
        pooled = jnp.concatenate(self._pool((fine[0], coarse[0]), box, _REFERENCE_BINS, (1.0, 1.0)))
        return Modulation(*(layer(pooled) for layer in self.modulations))

    def query(self, features: Features, modulation: Modulation) -> Maps:
        """The part of the prediction that all boxes in an image share; any number of images."""
        fine, coarse = self._convolve(features)
        return fine * modulation.fine, coarse * modulation.coarse

    def __call__(self, maps: Maps, box: Float[Array, "4"]) -> Float[Array, ""]:
        """The predicted overlap.

        Args:
            maps: of one image, from `query`.
            box: x, y, width, height in pixels of the image; `jax.vmap` for several.

        Returns:
            2 IoU - 1, so -1 for none and 1 for a perfect box; not clipped.
        """
        pooled = self._pool(maps, box, _BOX_BINS, _SURROUNDINGS)
        hidden = [jax.nn.relu(layer(x)) for layer, x in zip(self.boxes, pooled, strict=True)]
        return self.output(jnp.concatenate(hidden))[0]

    def _convolve(self, features: Features) -> Maps:
        fine, coarse = (
            conv(normalize(level)) for conv, level in zip(self.convs, features, strict=True)
        )
        return fine, coarse

    def _pool(
        self,
        maps: Maps,
        box: Float[Array, "4"],
        bins: Sequence[int],
        surroundings: Sequence[float],
    ) -> list[Float[Array, " n"]]:
        """The features of each level, flat, in a region so many times as wide and high as a box."""
        origin = self.grid.origin
        origins = (origin, origin + STRIDE * self.grid.coarse_origin)
        strides = (STRIDE, STRIDE * self.grid.coarse_step)
        pooled = []
        for level, start, stride, count, share in zip(
            maps, origins, strides, bins, surroundings, strict=True
        ):
            size = share * box[2:]
            corner = box[:2] + 0.5 * (box[2:] - size) - start
            region = jnp.concatenate([corner, size])
            pooled.append(precise_roi_pool(level, region, (count, count), 1 / stride).ravel())
        return pooled
