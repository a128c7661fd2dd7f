"""Named arrays and strings beside them in one safetensors file, which can execute nothing."""

import os
import pathlib
from collections.abc import Collection, Mapping

import numpy as np
import safetensors
import safetensors.numpy
from jax.typing import ArrayLike

from basics.errors import InputError
from basics.files import write_atomic


def write(
    path: str | os.PathLike[str], tensors: Mapping[str, ArrayLike], metadata: dict[str, str]
) -> None:
    """Writes a file in one step, creating parent folders.

    Args:
        path: the file, by convention `*.safetensors`.
        tensors: the arrays by name.
        metadata: strings by name, `format` among them: what kind of file this is.

    Raises:
        InputError: if an array holds what is not finite; nothing is written then.
    """
    arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    if spoilt := _not_finite(arrays):
        raise InputError(
            f"{path} is not written: {spoilt} would not be finite; lower the learning rate, or go "
            "on from an earlier state."
        )
    write_atomic(path, safetensors.numpy.save(arrays, metadata))


def read_metadata(
    path: str | os.PathLike[str], formats: Collection[str], writer: str
) -> dict[str, str]:
    """The strings beside the tensors.

    Args:
        path: a file that `write` wrote.
        formats: what its `format` may be.
        writer: the program that writes such files, for the messages.

    Raises:
        InputError: if the file is missing, damaged, or of another format.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"checkpoint {path}: no such file; `{writer}` writes one.")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"checkpoint {path}: truncated or not a safetensors file ({error}); copy it again."
        ) from error
    if metadata.get("format") not in formats:
        raise InputError(f"checkpoint {path}: not written by `{writer}`; use one that is.")
    return metadata


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file whose metadata could be read.

    Raises:
        InputError: if an array holds what is not finite, or numbers that NumPy does not have.
    """
    try:
        arrays = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"checkpoint {path}: its tensors cannot be read ({error}).") from error
    if spoilt := _not_finite(arrays):
        raise InputError(f"checkpoint {path}: {spoilt} is not finite; use another checkpoint.")
    return arrays


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of an array with an infinite number or NaN in it; None if all are finite."""
    return next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)


def require_same_shapes(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, ArrayLike],
    owner: str,
) -> None:
    """Checks that a file holds what its reader expects.

    Args:
        path: the file, for the message.
        tensors: the arrays in it.
        expected: arrays of the shapes wanted, by name.
        owner: whose they are, for the message.

    Raises:
        InputError: if a name or a shape differs.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    wanted = {name: np.shape(tensor) for name, tensor in expected.items()}
    differing = sorted(dict(shapes.items() ^ wanted.items()))
    if differing:
        raise InputError(
            f"checkpoint {path}: does not fit this version of {owner!r} "
            f"(differs in {', '.join(differing[:3])}); train it again."
        )
