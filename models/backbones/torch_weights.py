"""Reading PyTorch checkpoints with NumPy alone, without running anything they contain.

A checkpoint is a pickle, and a pickle is a program: it may name any function of any module and
have it called. The unpickler here knows only the few names that a state dict needs and maps each
to a function of this file, so that the worst a hostile file can do is to be refused.
"""

import collections
import io
import math
import os
import pathlib
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from models.errors import WeightsError

Network = TypeVar("Network")

# torch.save(..., _use_new_zipfile_serialization=False), the only format before PyTorch 1.6.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ZIP_MAGIC = b"PK\x03\x04"

_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")  # the opcodes that say where in the memo

_STORAGE_DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class _Storage(NamedTuple):
    """A run of numbers in the file, which one or more tensors view."""

    kind: str
    key: str
    length: int

    @property
    def dtype(self) -> np.dtype:
        return _STORAGE_DTYPES[self.kind]


class _Tensor(NamedTuple):
    """A strided view of a storage; not an array yet, as a legacy file stores the numbers last."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Parameters pickled before PyTorch 0.4 restore requires_grad and hooks: not needed."""


class _Refused(pickle.UnpicklingError):
    """The pickle names something that no state dict needs."""


class _StateDictUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO | io.BufferedReader):
        _require_modest_memo(file)
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}
        # Made anew for each file: a pickle can set attributes of the functions it is given.
        self._allowed = _allowed_names()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise _Refused(f"{module}.{name}")
        return self._allowed[module, name]

    def persistent_load(self, reference: Any) -> _Storage:
        tag, kind, key, _location, length, *view = reference
        if tag != "storage" or kind not in _STORAGE_DTYPES or not isinstance(key, str):
            raise pickle.UnpicklingError("unknown kind of storage")
        if type(length) is not int or length < 0 or any(part is not None for part in view):
            raise pickle.UnpicklingError("storage without a plain length")
        storage = _Storage(kind, key, length)
        if self.storages.setdefault(key, storage) != storage:
            raise pickle.UnpicklingError(f"storage {key} is described in two ways")
        return storage


def _require_modest_memo(file: io.BytesIO | io.BufferedReader) -> None:
    """Looks through the next pickle of a file, and goes back to its start.

    The unpickler's memo is an array as long as its largest index, whatever is in it: a few bytes
    could claim any amount of memory. A pickler counts up, an index for at least a byte.

    Raises:
        UnpicklingError: an index is larger than that.
    """
    start = file.tell()
    for opcode, argument, position in pickletools.genops(file):
        index = argument if opcode.name in _PUTS else None
        read = (position or 0) - start
        if index is not None and index > read:
            raise pickle.UnpicklingError(f"memo index {index} after {read} bytes")
    file.seek(start)


def _allowed_names() -> dict[tuple[str, str], Any]:
    """What a pickle may name, by (module, name)."""

    def rebuild_tensor(storage, offset, size, stride, *_grad_and_hooks):
        return _Tensor(storage, offset, size, stride)

    def rebuild_parameter(tensor, *_grad_and_hooks):
        return tensor

    class Parameter:
        def __new__(cls, tensor, *_grad):
            return tensor

    names: dict[tuple[str, str], Any] = {("torch", kind): kind for kind in _STORAGE_DTYPES}
    names["collections", "OrderedDict"] = collections.OrderedDict
    names["torch._utils", "_rebuild_tensor"] = rebuild_tensor
    names["torch._utils", "_rebuild_tensor_v2"] = rebuild_tensor
    names["torch._utils", "_rebuild_parameter"] = rebuild_parameter
    names["torch.nn.parameter", "Parameter"] = Parameter
    return names


def load_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the state dict in a PyTorch checkpoint, without PyTorch.

    Both formats that `torch.save` writes are read: the zip archive and the older bare pickle.
    A state dict that is the only entry of another dictionary is taken out of it.
    Nothing in the file is executed.

    Args:
      path: a file written by `torch.save(model.state_dict(), path)`, or one named `*.safetensors`.

    Returns:
      The tensors by name, as contiguous arrays of the dtype they were stored in.

    Raises:
      WeightsError: the file is missing, truncated, no checkpoint, or asks for anything but tensors.
    """
    path = pathlib.Path(path)
    if path.is_fifo():  # from which reading would never end
        raise WeightsError(f"{path} is no regular file: give the path of a PyTorch checkpoint.")
    try:
        if path.suffix == ".safetensors":
            return safetensors.numpy.load_file(path)
        with path.open("rb") as file:
            is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
            file.seek(0)
            tensors, numbers = _read_zip(file) if is_zip else _read_legacy(file)
        return _assemble(tensors, numbers)
    except _Refused as error:
        raise WeightsError(
            f"{path} was refused because it asks for {error}, which no state dict needs: "
            "save it again as torch.save(model.state_dict(), path)."
        ) from None
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror or error}): give the path of a PyTorch "
            "checkpoint."
        ) from None
    except Exception as error:  # A damaged pickle fails in any way that Python can.
        raise WeightsError(
            f"{path} is truncated or holds no PyTorch state dict "
            f"({' '.join(str(error).split()) or type(error).__name__}): download it again, or save "
            "it again as torch.save(model.state_dict(), path)."
        ) from error


def _read_legacy(file: io.BufferedReader) -> tuple[Any, dict[str, np.ndarray]]:
    """Five pickles (magic, protocol, machine, tensors, storage keys), then the numbers by key."""
    if _StateDictUnpickler(file).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("no PyTorch magic number")
    if _StateDictUnpickler(file).load() != _LEGACY_PROTOCOL:
        raise pickle.UnpicklingError("unknown protocol version")
    if not _StateDictUnpickler(file).load()["little_endian"]:
        raise pickle.UnpicklingError("written on a big-endian machine")
    unpickler = _StateDictUnpickler(file)
    tensors = unpickler.load()
    numbers = {}
    for key in _StateDictUnpickler(file).load():
        length = int.from_bytes(file.read(8), "little")
        if length != unpickler.storages[key].length:
            raise pickle.UnpicklingError(f"storage {key} has the wrong length")
        numbers[key] = _numbers(file, unpickler.storages[key])
    return tensors, numbers


def _read_zip(file: io.BufferedReader) -> tuple[Any, dict[str, np.ndarray]]:
    """An archive of one pickle, NAME/data.pkl, and the numbers by key, NAME/data/KEY."""
    with zipfile.ZipFile(file) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise pickle.UnpicklingError("compressed, which torch.save never does")
        names = archive.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise pickle.UnpicklingError("no data.pkl in the archive")
        folder = pickles[0].removesuffix("data.pkl")
        if folder + "byteorder" in names and archive.read(folder + "byteorder") != b"little":
            raise pickle.UnpicklingError("written on a big-endian machine")
        unpickler = _StateDictUnpickler(io.BytesIO(archive.read(pickles[0])))
        tensors = unpickler.load()
        numbers = {
            key: _numbers(io.BytesIO(archive.read(f"{folder}data/{key}")), storage)
            for key, storage in unpickler.storages.items()
        }
    return tensors, numbers


def _numbers(file: io.BufferedIOBase, storage: _Storage) -> np.ndarray:
    """Reads the numbers of one storage, no more memory being claimed than the file fills."""
    wanted = storage.length * storage.dtype.itemsize
    chunks, have = [], 0
    while have < wanted:
        chunk = file.read(min(wanted - have, 1 << 24))
        if not chunk:
            raise pickle.UnpicklingError(f"storage {storage.key} ends early")
        chunks.append(chunk)
        have += len(chunk)
    return np.frombuffer(b"".join(chunks), storage.dtype)


def _assemble(tensors: Any, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Turns the unpickled description of a state dict into arrays."""
    if isinstance(tensors, dict) and len(tensors) == 1:
        (only,) = tensors.values()
        tensors = only if isinstance(only, dict) else tensors
    if not isinstance(tensors, dict):
        raise pickle.UnpicklingError(f"a {type(tensors).__name__}, not a dictionary of tensors")
    arrays = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise pickle.UnpicklingError(f"the entry {name!r} is not a tensor")
        arrays[name] = _array(name, tensor, numbers)
    return arrays


def _array(name: str, tensor: _Tensor, numbers: dict[str, np.ndarray]) -> np.ndarray:
    """The view of its storage that `tensor` describes, copied; never reads beyond the storage."""
    offset, size, stride = tensor.offset, tuple(tensor.size), tuple(tensor.stride)
    if any(type(part) is not int or part < 0 for part in (offset, *size, *stride)):
        raise pickle.UnpicklingError(f"the tensor {name!r} has no plain shape")
    storage = numbers[tensor.storage.key]
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # Strides of 0 could make a small file claim any amount of memory, hence the first test.
    if count > storage.size or (count > 0 and last >= storage.size):
        raise pickle.UnpicklingError(f"the tensor {name!r} reaches beyond its storage")
    if count == 0:
        return np.zeros(size, storage.dtype)
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()


def network_of(
    make: Callable[[dict[str, np.ndarray]], Network],
    path: str | os.PathLike[str],
    name: str,
    remedy: str,
) -> Network:
    """The network that a state dict on disk is of.

    Args:
        make: builds it; raises a KeyError or ValueError of what does not fit.
        path: the checkpoint.
        name: of the network, for the message.
        remedy: for the message: which file to give instead.

    Raises:
        WeightsError: the file is missing, damaged, or of another network.
    """
    state_dict = load_state_dict(path)
    try:
        return make(state_dict)
    except (KeyError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{path} is not a checkpoint of {name} ({reason}): {remedy}") from None
