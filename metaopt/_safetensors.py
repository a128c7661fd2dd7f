"""The safetensors format: named arrays and a few strings, and nothing that could run.

Eight bytes with the length of the header, the header as JSON, the arrays one after another. Written
out here because the readers of the `safetensors` package for NumPy know no bfloat16.
"""

import json
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

_DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(bool), "U8": np.dtype("uint8"), "I8": np.dtype("int8"),
    "U16": np.dtype("uint16"), "I16": np.dtype("int16"), "U32": np.dtype("uint32"),
    "I32": np.dtype("int32"), "U64": np.dtype("uint64"), "I64": np.dtype("int64"),
    "F16": np.dtype("float16"), "BF16": np.dtype(jnp.bfloat16), "F32": np.dtype("float32"),
    "F64": np.dtype("float64"),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def dump(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """The bytes of a file.

    Raises:
        KeyError: if the format has no name for the dtype of an array.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    parts, start = [], 0
    for name, array in arrays.items():
        end = start + array.nbytes
        offsets = {"shape": array.shape, "data_offsets": [start, end]}
        header[name] = {"dtype": _NAMES[array.dtype], **offsets}
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        parts.append(little.tobytes())
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and strings of a file's bytes.

    Raises:
        ValueError: if they are not of the format.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:end])
        metadata = header.pop("__metadata__", {})
        arrays = {name: _array(data[end:], **entry) for name, entry in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not of the safetensors format: {error}") from None
    return arrays, metadata


def _array(data: bytes, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    start, end = data_offsets
    kind = _DTYPES[dtype]
    if not 0 <= start <= end <= len(data) or end - start != math.prod(shape) * kind.itemsize:
        raise ValueError("not of the safetensors format: an array that does not fit its place")
    return np.frombuffer(data[start:end], kind).reshape(shape)
