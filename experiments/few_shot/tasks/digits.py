"""Small handwritten digits, which come with scikit-learn."""

import numpy as np
from jaxtyping import UInt8

from experiments.few_shot.tasks.classes import ImageClasses

_LARGEST = 16  # value of a pixel as published
_TRAINING = range(5)


class Digits(ImageClasses):
    """Handwritten digits of 8x8 pixels (UCI), rotated: trained on 0 to 4, tested on 5 to 9.

    Needs no network and no files. Three blocks, since the images cannot be halved four times.
    """

    name = "digits"
    inner_steps = 1
    rate = 0.4
    episodes = 4
    outer_steps = 2000
    stride = 10

    @classmethod
    def create(cls, *, ways: int = 5, shots: int = 1, queries: int = 5) -> "Digits":
        """From the installed package.

        Raises:
            InputError: if there are too few digits for an episode.
        """
        by_digit = digits_by_class()
        training = {str(digit): by_digit[digit] for digit in _TRAINING}
        test = {str(digit): by_digit[digit] for digit in range(10) if digit not in _TRAINING}
        sizes = {"ways": ways, "shots": shots, "queries": queries}
        return cls.of(training, test, "digits", **sizes, rotations=4, filters=(32, 32, 32))


def digits_by_class() -> list[UInt8[np.ndarray, "_ 8 8 1"]]:
    """The images of each digit, 0 to 255."""
    from sklearn.datasets import load_digits  # takes a second, which other tasks are spared

    images, labels = load_digits(return_X_y=True)
    pixels = (images * (255 / _LARGEST)).round().astype(np.uint8).reshape(-1, 8, 8, 1)
    return [pixels[labels == digit] for digit in range(10)]
