"""Backbones with published weights, as PyTorch saved them."""

import abc
import os
import pathlib
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from models.backbone import Backbone, Images
from models.backbones.torch_weights import network_of
from models.errors import WeightsError

_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32) * 255


class PublishedBackbone(Backbone):
    """A network made from a published state dict; torchvision's, unless a subclass says otherwise.

    Subclasses say which file holds the weights, and make their layers of it.
    """

    publisher: ClassVar[str] = "torchvision"
    address: ClassVar[str] = "https://download.pytorch.org/models"
    file: ClassVar[str]

    def __init__(self, state_dict: Mapping[str, np.ndarray]):
        """Takes the weights from a state dict named as its publisher does.

        Raises:
          KeyError: a weight is missing.
          ValueError: there are weights of another network.
        """
        state_dict = dict(state_dict)
        self._take(state_dict)
        if state_dict:
            raise ValueError(f"{next(iter(state_dict))} is no weight of it")

    @abc.abstractmethod
    def _take(self, state_dict: dict[str, np.ndarray]) -> None:
        """Makes the layers and takes all that belongs to the network out of `state_dict`."""

    @classmethod
    def pretrained(cls, path: str | os.PathLike[str] | None = None) -> "PublishedBackbone":
        wanted = f"{cls.publisher}'s {cls.file}, from {cls.address}"
        if path is None or not pathlib.Path(path).is_file():
            missing = "needs a file with its weights" if path is None else f"{path}: no such file"
            raise WeightsError(f"backbone {cls.name}: {missing}: give that of {wanted}")
        return network_of(cls, path, cls.name, f"give {wanted}")


def normalize_colors(images: Images, dtype: np.dtype) -> Float[Array, "n h w 3"]:
    """RGB in 0..255 as torchvision's networks take it: ImageNet's mean 0 and deviation 1."""
    return (jnp.asarray(images, dtype) - _MEAN) / _DEVIATION


def max_pool(x: Float[Array, "n h w c"], size: int, padding: int) -> Float[Array, "n oh ow c"]:
    """The largest of `size` x `size` neighbours at stride 2, of what is not negative.

    Zeros may pad it, therefore. One axis after the other and by slices, which is faster on a CPU
    than a window reduction.
    """
    for axis in (1, 2):
        pads = [(0, 0)] * 4
        pads[axis] = (padding, padding)
        padded = jnp.pad(x, pads)
        stop = padded.shape[axis] - size + 1
        taps = [
            jax.lax.slice_in_dim(padded, start, stop + start, 2, axis=axis) for start in range(size)
        ]
        x = taps[0]
        for tap in taps[1:]:
            x = jnp.maximum(x, tap)
    return x
