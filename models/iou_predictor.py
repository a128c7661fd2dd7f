"""The network that predicts how well a box overlaps with the target: ATOM's IoU predictor.

Danelljan, Bhat, Khan, Felsberg, "ATOM: Accurate Tracking by Overlap Maximization", CVPR 2019,
section 3.1, as used in DiMP (Bhat et al. 2019, section 3.5).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import STRIDE, Features, Grid
from models.filter_head import normalize
from models.prroi import precise_roi_pool

# Bins of the target's appearance and of a box, on the two levels (ATOM, Figure 3).
_REFERENCE_BINS = (3, 1)
_BOX_BINS = (5, 3)

Maps = tuple[Float[Array, "*batch h w c"], Float[Array, "*batch h2 w2 c"]]


class Modulation(NamedTuple):
    """What to look for: a gain for each channel of each level."""

    stride8: Float[Array, " c"]
    stride16: Float[Array, " c"]


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
        conv = lambda inputs: nnx.Conv(inputs, width, (3, 3), rngs=rngs)
        self.reference_convs = nnx.List([conv(inputs) for inputs in channels])
        self.query_convs = nnx.List([conv(inputs) for inputs in channels])
        pooled = sum(width * bins**2 for bins in _REFERENCE_BINS)
        self.modulations = nnx.List([nnx.Linear(pooled, width, rngs=rngs) for _ in channels])
        self.boxes = nnx.List([nnx.Linear(width * bins**2, width, rngs=rngs) for bins in _BOX_BINS])
        self.output = nnx.Linear(width * len(_BOX_BINS), 1, rngs=rngs)

    def modulation(self, reference: Features, box: Float[Array, "4"]) -> Modulation:
        """What to look for, from one image.

        Args:
            reference: features of the reference image, without an axis of images.
            box: the target in it; x, y, width, height in pixels of the image.
        """
        batch = Features(*(level[None] for level in reference))
        shallow, deep = _convolve(self.reference_convs, batch)
        joint = jnp.concatenate(self._pool((shallow[0], deep[0]), box, _REFERENCE_BINS))
        return Modulation(*(jax.nn.relu(layer(joint)) for layer in self.modulations))

    def query(self, features: Features, modulation: Modulation) -> Maps:
        """The part of the prediction that all boxes in an image share; any number of images."""
        maps = _convolve(self.query_convs, features)
        shallow, deep = (level * gain for level, gain in zip(maps, modulation, strict=True))
        return shallow, deep

    def __call__(self, maps: Maps, box: Float[Array, "4"]) -> Float[Array, ""]:
        """The predicted overlap.

        Args:
            maps: of one image, from `query`.
            box: x, y, width, height in pixels of the image; `jax.vmap` for several.

        Returns:
            2 IoU - 1, so -1 for none and 1 for a perfect box; not clipped.
        """
        pooled = self._pool(maps, box, _BOX_BINS)
        hidden = [jax.nn.relu(layer(x)) for layer, x in zip(self.boxes, pooled, strict=True)]
        return self.output(jnp.concatenate(hidden))[0]

    def _pool(
        self, maps: Maps, box: Float[Array, "4"], bins: Sequence[int]
    ) -> list[Float[Array, " n"]]:
        """The features inside a box, flat, of each level."""
        fine = self.grid.origin
        origins = (fine, fine + STRIDE * self.grid.coarse_origin)
        pooled = []
        for level, origin, stride, count in zip(
            maps, origins, (STRIDE, 2 * STRIDE), bins, strict=True
        ):
            shifted = box - jnp.array([origin, origin, 0.0, 0.0], box.dtype)
            pooled.append(precise_roi_pool(level, shifted, (count, count), 1 / stride).ravel())
        return pooled


def _convolve(convs: Sequence[nnx.Conv], features: Features) -> Maps:
    shallow, deep = (
        jax.nn.relu(conv(normalize(level))) for conv, level in zip(convs, features, strict=True)
    )
    return shallow, deep
