"""The three shared layers of RT-MDNet, from VGG-M: the trunk of MetaRTT's paper.

Jung, Son, Baek, Han, "Real-Time MDNet", ECCV 2018, section 3.1; Chatfield et al., "Return of the
Devil in the Details", BMVC 2014. The last layer is dilated where VGG-M pools. Its layers are not
padded; here they are, so that maps of whole cells come out of images of whole cells.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import Features, Grid, Images
from models.backbones.published import PublishedBackbone, max_pool
from models.layers.fast_convolutions import Conv

_STRIDES, _DILATIONS = (2, 2, 1), (1, 1, 3)
_MEAN = 128.0


class _Third(nnx.Module):
    """The last convolution, and its ReLU."""

    def __init__(self, convolution: Conv):
        self.convolution = convolution

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w d"]:
        return jax.nn.relu(self.convolution(x))


class VGGM(PublishedBackbone):
    """What comes out of the second and of the third convolution, at stride 8 both.

    The file is that of the published tracker, whose fully connected layers are left out.
    """

    name: ClassVar[str] = "vgg_m"
    channels: ClassVar[tuple[int, int]] = (256, 512)
    grid: ClassVar[Grid] = Grid(origin=0.5, coarse_origin=0.0, coarse_step=1)
    publisher: ClassVar[str] = "RT-MDNet"
    address: ClassVar[str] = "https://github.com/IlchaeJung/RT-MDNet"
    file: ClassVar[str] = "rt-mdnet.pth"

    def _take(self, state_dict: dict[str, np.ndarray]) -> None:
        layers = []
        for number, (stride, dilation) in enumerate(zip(_STRIDES, _DILATIONS, strict=True), 1):
            kernel = state_dict.pop(f"conv{number}.0.weight").transpose(2, 3, 1, 0)
            layers.append(Conv(kernel, state_dict.pop(f"conv{number}.0.bias"), stride, dilation))
        self.first, self.second = layers[:2]
        self.third = _Third(layers[2])
        for name in list(state_dict):
            if name.startswith("fc"):
                del state_dict[name]

    def deeper(self) -> nnx.Module:
        return nnx.clone(self.third)

    def __call__(self, images: Images) -> Features:
        x = jnp.asarray(images, self.first.kernel.dtype) - _MEAN
        x = _normalize(jax.nn.relu(self.first(x)))
        x = _normalize(jax.nn.relu(self.second(max_pool(x, size=3, padding=1))))
        return Features(x, self.third(x))


def _normalize(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Local response normalization over a neighbourhood of one channel (published code)."""
    return x / (2 + 1e-4 * x**2) ** 0.75
