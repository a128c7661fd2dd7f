"""The five layers of SiamFC, the trunk of GradNet's paper, with the weights of its PyTorch port.

Bertinetto et al., "Fully-Convolutional Siamese Networks for Object Tracking", ECCV Workshops 2016,
Table 1. Its layers are not padded; here they are, so that maps of whole cells come out of images of
whole cells. Away from the border nothing else changes but where the cells lie.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import Features, Grid, Images
from models.backbones.published import PublishedBackbone, max_pool
from models.layers.fast_convolutions import Conv, fold_batch_norm

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
_BATCH_NORM_EPSILON = 1e-6  # of the port


class _Later(nnx.Module):
    """The last three convolutions, a ReLU between them and none after the last."""

    def __init__(self, convolutions: list[Conv]):
        self.convolutions = nnx.List(convolutions)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w d"]:
        for convolution in self.convolutions[:-1]:
            x = jax.nn.relu(convolution(x))
        return self.convolutions[-1](x)


class SiamFCAlexNet(PublishedBackbone):
    """What comes out of the second pooling (f2 of GradNet) and of the last layer, at stride 8 both.

    Batch norms are frozen and folded into the convolutions before them. Colors go in as they are.
    """

    name: ClassVar[str] = "siamfc_alexnet"
    channels: ClassVar[tuple[int, int]] = (256, 256)
    grid: ClassVar[Grid] = Grid(origin=0.5, coarse_origin=0.0, coarse_step=1)
    publisher: ClassVar[str] = "siamfc-pytorch"
    address: ClassVar[str] = "https://github.com/huanglianghua/siamfc-pytorch"
    file: ClassVar[str] = "siamfc_alexnet_e50.pth"

    def _take(self, state_dict: dict[str, np.ndarray]) -> None:
        for name in list(state_dict):
            if name.endswith("num_batches_tracked"):
                del state_dict[name]
        first, second, *later = (
            _layer(state_dict, number, stride)
            for number, stride in zip(range(1, 6), (2, 1, 1, 1, 1), strict=True)
        )
        self.earlier = nnx.List([first, second])
        self.later = _Later(later)

    def deeper(self) -> nnx.Module:
        return nnx.clone(self.later)

    def __call__(self, images: Images) -> Features:
        x = jnp.asarray(images, self.earlier[0].kernel.dtype)
        for convolution in self.earlier:
            x = max_pool(jax.nn.relu(convolution(x)), size=3, padding=1)
        return Features(x, self.later(x))


def _layer(state_dict: dict[str, np.ndarray], number: int, stride: int) -> Conv:
    """A convolution and the batch norm after it, which the last one lacks."""
    prefix = f"backbone.conv{number}"
    kernel = state_dict.pop(f"{prefix}.0.weight").transpose(2, 3, 1, 0)
    bias = state_dict.pop(f"{prefix}.0.bias")
    if number < 5:
        scale, offset, mean, variance = (state_dict.pop(f"{prefix}.1.{n}") for n in _BATCH_NORM)
        kernel, bias = fold_batch_norm(
            kernel, scale, offset, mean - bias, variance, _BATCH_NORM_EPSILON
        )
    return Conv(kernel, bias, stride)
