"""The heads of two trackers, fitted to a target in a photograph on pooled features."""

import abc
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import skimage.io
import skimage.transform
from flax import struct
from jaxtyping import Array, Float, Key, PyTree, Scalar

from experiments.learned_optimizer.tasks.base import Family, Problem, error
from models.heads.regression_head import RegressionHead
from models.heads.resizable_filter import ResizableHead

_CELL, _CELLS = 8, 48  # pixels of a cell; cells along a photograph
_CHANNELS = 8
_MAP, _SHIFT = 12, 4  # cells of what a tracker sees, and by how many the target is off its middle
_SAMPLES = 8
_TARGET = (3.0, 3.0)  # width and height in cells


class Heads(Family):
    """A random target in a random photograph, seen from 8 places a step.

    The response is fitted to a Gaussian around the target by least squares, as trackers do.

    Attributes:
        fine: features of photographs: mean, spread and slopes of the colours in each cell.
        coarse: those of four cells together.
    """

    fine: Float[Array, "photos cells cells channels"]
    coarse: Float[Array, "photos cells cells channels"]

    @abc.abstractmethod
    def head(self, key: Key[Array, ""]) -> PyTree:
        """A head that is not fitted yet."""

    @abc.abstractmethod
    def response(self, head: PyTree, fine: Array, coarse: Array) -> Float[Array, "n h w"]:
        """What it says of each cell."""

    def sample(self, key: Key[Array, ""]) -> Problem:
        keys = jax.random.split(key, 3)
        photo = jax.random.randint(keys[0], (), 0, len(self.fine))
        margin = _MAP // 2 + _SHIFT
        place = jax.random.randint(keys[1], (2,), margin, _CELLS - margin)
        return Problem(self.head(keys[2]), (photo, place))

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        return self._seen(context, jax.random.randint(key, (_SAMPLES, 2), -_SHIFT, _SHIFT + 1))

    def whole(self, context: PyTree) -> PyTree:
        side = jnp.arange(-_SHIFT, _SHIFT + 1, 2)
        return self._seen(context, jnp.stack(jnp.meshgrid(side, side), -1).reshape(-1, 2))

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        fine, coarse, labels = samples
        return error(self.response(params, fine, coarse), labels)

    def _seen(self, context: PyTree, shifts: Array) -> tuple[Array, Array, Array]:
        """Features of both levels around the shifted target, and where it is."""
        photo, place = context

        def one(shift: Array) -> tuple[Array, Array, Array]:
            corner = (photo, *(place + shift - _MAP // 2), 0)
            crop = lambda level: jax.lax.dynamic_slice(level, corner, (1, _MAP, _MAP, _CHANNELS))[0]
            cells = jnp.stack(jnp.meshgrid(*[jnp.arange(_MAP)] * 2, indexing="ij"), -1)
            squares = jnp.sum((cells - (_MAP // 2 - shift)) ** 2, -1)
            return crop(self.fine), crop(self.coarse), jnp.exp(-squares / 2)

        return jax.vmap(one)(shifts)


class ROAMHead(Heads):
    """A reducer and a filter that is warped to the target's size (Yang et al. 2020)."""

    def head(self, key: Key[Array, ""]) -> ResizableHead:
        return ResizableHead.create(key, features=_CHANNELS, channels=6, size=5, outputs=1)

    def response(self, head: PyTree, fine: Array, coarse: Array) -> Float[Array, "n h w"]:
        return head(fine, jnp.array(_TARGET), 5)[0]


class DSLTHead(Heads):
    """Reducers of two levels and a filter on each of their fusions (Lu et al. 2018)."""

    fusion: str = struct.field(pytree_node=False, default="residual")

    def head(self, key: Key[Array, ""]) -> RegressionHead:
        return RegressionHead.create(key, (_CHANNELS, _CHANNELS), 6, 5, self.fusion)

    def response(self, head: PyTree, fine: Array, coarse: Array) -> Float[Array, "n h w"]:
        return head.response(head.maps((fine, coarse), self.fusion), jnp.array(_TARGET))


def pooled(photos: Sequence[str]) -> tuple[Array, Array]:
    """The features of colour photographs of scikit-image at both levels, each of mean square 1."""
    folder = pathlib.Path(skimage.__file__).parent / "data"
    side = _CELL * _CELLS
    levels = []
    for size in (_CELL, 2 * _CELL):
        found = []
        for name in photos:
            image = skimage.transform.resize(skimage.io.imread(folder / name), (side, side, 3))
            slopes = np.abs(np.stack(np.gradient(image.mean(-1)), -1))
            cells = np.concatenate([image, slopes], -1).reshape(
                side // size, size, side // size, size, 5
            )
            mean, spread = cells.mean((1, 3)), cells[..., :3].std((1, 3))
            values = np.concatenate([mean - mean.mean((0, 1)), spread], -1)
            found.append(values.repeat(size // _CELL, 0).repeat(size // _CELL, 1))
        level = np.stack(found)
        levels.append(jnp.asarray(level / np.sqrt((level**2).mean((0, 1, 2))), jnp.float32))
    return levels[0], levels[1]
