"""Classifiers and autoencoders of small images."""

import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import skimage.io
import skimage.transform
from jaxtyping import Array, Float, Key, PyTree

from experiments.few_shot.tasks.digits import digits_by_class
from experiments.few_shot.tasks.omniglot import Omniglot
from experiments.learned_optimizer.tasks.base import Fitted, Problem, initial_layers

_PATCHES = 200  # of each photograph
_CHARACTERS = 20
# Public domain or free, in every installation of scikit-image.
TRAINING_PHOTOS: tuple[str, ...] = (
    *("astronaut.png", "brick.png", "camera.png", "coffee.png", "coins.png"),
    *("grass.png", "moon.png", "rocket.jpg", "page.png", "hubble_deep_field.jpg"),
)
OTHER_PHOTOS: tuple[str, ...] = (
    *("chelsea.png", "gravel.png", "motorcycle_left.png", "ihc.png", "retina.jpg"),
    *("text.png", "clock_motion.png", "cell.png"),
)
COLOR_PHOTOS = ("chelsea.png", "motorcycle_left.png", "ihc.png", "retina.jpg")


def digits(hidden: Sequence[int], *, layer_norm: bool = False) -> Fitted:
    """Which of ten digits an image of 8x8 pixels shows, by an MLP."""
    images, labels = _digits()
    return Fitted(images, labels, (64, *hidden, 10), layer_norm=layer_norm)


def digits_autoencoder(hidden: Sequence[int]) -> Fitted:
    """The image itself, through a narrow layer."""
    images, _ = _digits()
    return Fitted(images, images, (64, *hidden, 64))


def patches(
    photos: Sequence[str], side: int, hidden: Sequence[int], *, layer_norm: bool = False
) -> Fitted:
    """Which photograph a grey patch is from, by an MLP."""
    images, labels = _patches(photos, side)
    units = (side**2, *hidden, len(photos))
    return Fitted(images, labels, units, layer_norm=layer_norm)


def patches_autoencoder(photos: Sequence[str], side: int, hidden: Sequence[int]) -> Fitted:
    """A grey patch itself, through a narrow layer."""
    images, _ = _patches(photos, side)
    return Fitted(images, images, (side**2, *hidden, side**2))


def omniglot(folder: str, side: int, hidden: Sequence[int]) -> Fitted:
    """Which of 20 characters of Omniglot a drawing shows, by an MLP; none is in meta-training.

    Args:
        folder: of the published zip files.
        side: to which the drawings of 28x28 pixels are shrunk, a divisor of 28.
        hidden: units of each hidden layer.

    Raises:
        InputError: if files are missing or damaged.
    """
    drawings = Omniglot.create(data_dir=folder).test
    end = int(drawings.first[_CHARACTERS])
    blocks = drawings.images[:end].reshape(end, side, 28 // side, side, 28 // side)
    inputs = blocks.mean((2, 4)).reshape(end, side**2) / 255
    labels = jnp.repeat(jnp.arange(_CHARACTERS), drawings.count[:_CHARACTERS])
    return Fitted(inputs, labels, (side**2, *hidden, _CHARACTERS))


class Convolutional(Fitted):
    """Two 3x3 convolutions of stride 2 and a linear layer, on images of 8x8 pixels.

    A convolution is a matrix product with the 3x3 patches: many networks side by side then are one
    batched product.
    """

    def sample(self, key: Key[Array, ""]) -> Problem:
        first, second = self.units[1:-1]
        kernels = ((9, first), (9 * first, second), (4 * second, self.units[-1]))
        layers = [
            initial_layers(jax.random.fold_in(key, index), kernel, layer_norm=False)[0]
            for index, kernel in enumerate(kernels)
        ]
        return Problem(layers, ())

    def outputs(self, params: PyTree, inputs: Float[Array, "n 64"]) -> Float[Array, "n out"]:
        x = inputs.reshape(-1, 8, 8, 1)
        for layer in params[:-1]:
            x = jax.nn.relu(_strided_patches(x) @ layer["kernel"] + layer["bias"])
        return x.reshape(len(x), -1) @ params[-1]["kernel"] + params[-1]["bias"]


def convolutional_digits(filters: tuple[int, int]) -> Convolutional:
    """Which of ten digits an image shows, by a convolutional network."""
    images, labels = _digits()
    return Convolutional(images, labels, (64, *filters, 10))


def _strided_patches(x: Float[Array, "n h w c"]) -> Float[Array, "n h/2 w/2 9*c"]:
    """Around every second pixel, with zeros beyond the border."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    shifts = [(i, j) for i in range(3) for j in range(3)]
    views = [padded[:, i : i + height : 2, j : j + width : 2] for i, j in shifts]
    return jnp.concatenate(views, -1)


def _digits() -> tuple[Float[Array, "n 64"], Array]:
    """scikit-learn's, 0 to 1."""
    classes = digits_by_class()
    images = np.concatenate([images.reshape(len(images), 64) for images in classes])
    labels = np.repeat(np.arange(10), [len(images) for images in classes])
    return jnp.asarray(images / 255, jnp.float32), jnp.asarray(labels)


def _patches(photos: Sequence[str], side: int) -> tuple[Float[Array, "n pixels"], Array]:
    """Random patches of photographs at a third of their size, always the same; mean 0, spread 1."""
    rng = np.random.default_rng(0)
    folder = pathlib.Path(skimage.__file__).parent / "data"
    found = []
    for name in photos:
        grey = skimage.io.imread(folder / name, as_gray=True)
        grey = skimage.transform.resize(grey, [length // 3 for length in grey.shape])
        tops = rng.integers(0, [length - side for length in grey.shape], (_PATCHES, 2))
        found += [grey[y : y + side, x : x + side].ravel() for y, x in tops]
    pixels = np.stack(found)
    pixels = (pixels - pixels.mean()) / pixels.std()
    return jnp.asarray(pixels, jnp.float32), jnp.repeat(jnp.arange(len(photos)), _PATCHES)
