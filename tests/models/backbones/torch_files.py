"""Files as PyTorch writes them, opcode by opcode: PyTorch is not needed."""

import io
import pickle
import struct
import zipfile

import jax.numpy as jnp
import numpy as np

DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": jnp.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def group(*items):
    return b"(" + b"".join(items) + b"t"


def dictionary(**items):
    pairs = b"".join(text(key) + value for key, value in items.items())
    metadata = b"}" + text("_metadata") + b"}sb"  # attributes, as nn.Module.state_dict sets
    return name("collections", "OrderedDict") + b")R(" + pairs + b"u" + metadata


def storage(kind, key, length, legacy):
    view = [b"N"] if legacy else []
    parts = [text("storage"), name("torch", kind), text(key), text("cpu"), number(length), *view]
    return group(*parts) + b"Q"


def tensor(stored, offset, size, stride):
    shape = (group(*map(number, size)), group(*map(number, stride)))
    hooks = name("collections", "OrderedDict") + b")R"
    arguments = group(stored, number(offset), *shape, b"\x89", hooks)
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def checkpoint(body, arrays, legacy):
    """The bytes of a file whose pickle is `body` and whose storages are `arrays` by key."""
    body = b"\x80\x02" + body + b"."
    if legacy:
        head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        file = b"".join(pickle.dumps(part, 2) for part in head) + body
        file += pickle.dumps(list(arrays), 2)
        for array in arrays.values():
            file += struct.pack("<q", array.size) + array.tobytes()
        return file
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", body)
        archive.writestr("net/byteorder", "little")
        for key, array in arrays.items():
            archive.writestr(f"net/data/{key}", array.tobytes())
    return file.getvalue()


def state_dict_file(arrays, legacy=False, inside=None):
    """The bytes of a file with arrays by name, or with a dictionary of them under a name."""
    kinds = {np.dtype(dtype): kind for kind, dtype in DTYPES.items()}
    body = {}
    for key, array in arrays.items():
        strides = [stride // array.itemsize for stride in array.strides]
        stored = storage(kinds[array.dtype], key, array.size, legacy)
        body[key] = tensor(stored, 0, array.shape, strides)
    whole = dictionary(**body)
    return checkpoint(dictionary(**{inside: whole}) if inside else whole, arrays, legacy)
