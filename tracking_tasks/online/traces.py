"""Traces that later processes find in files, which spares them to trace and to lower.

Beside XLA's compiled programs, which JAX keeps by what was traced, lies what was traced, by what it
was traced from: its `Fingerprint`. A file holds a program in StableHLO (`jax.export`), which is
compiled or found compiled as ever.
"""

import contextlib
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from jax.export import Exported

from basics import compilation
from basics.files import write_atomic
from tracking_tasks.online.fingerprint import Fingerprint

_MOST = 200  # files, of some 150 kB; the oldest goes first
_DIGEST = hashlib.sha256().digest_size


def kept(function: Callable[..., list[jax.Array]]) -> Callable[..., list[jax.Array]]:
    """A function for `jax.jit` that is not traced where another process has done so.

    Where nothing is kept (`basics.compilation.keep_compiled_programs`), where some code may change
    unseen, and where JAX cannot export it, it is traced as ever.

    Args:
        function: of arrays, in pytrees.
    """

    def found(*arguments: Any) -> list[jax.Array]:
        leaves, taken = jax.tree.flatten(arguments)
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        flat = lambda *leaves: function(*jax.tree.unflatten(taken, leaves))
        path = _place([function, taken, repr(shapes)])
        exported = path and (_read(path) or _written(path, flat, shapes))
        return list(exported.call(*leaves)) if exported else function(*arguments)

    return found


def _place(traced_from: list[Any]) -> pathlib.Path | None:
    """The file of what is traced from that; None where it is not kept."""
    folder = compilation.folder_of_traces()
    if folder is None:
        return None
    try:
        fingerprint = Fingerprint()
        fingerprint.add(traced_from)
        return folder / fingerprint.hexdigest()
    except Exception:  # `UnknownError`, and whatever a user's object does that is looked into
        return None


def _read(path: pathlib.Path) -> Exported | None:
    """The program in a file; None where there is none, or it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, program = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(program).digest() != digest:
        return None
    return jax.export.deserialize(bytearray(program))


def _written(
    path: pathlib.Path, function: Callable[..., Any], shapes: list[jax.ShapeDtypeStruct]
) -> Exported | None:
    """Traces a function into a file; None where JAX cannot, or the function fails."""
    try:
        program = jax.export.export(jax.jit(function))(*shapes).serialize()
    except Exception:  # whatever it is, a trace without a file says it, or goes well
        return None
    with contextlib.suppress(OSError):  # a full disk, a folder of another user
        write_atomic(path, hashlib.sha256(program).digest() + program)
        _make_room(path.parent)
    return jax.export.deserialize(program)  # not the original: by its bytes XLA's cache has it


def _make_room(folder: pathlib.Path) -> None:
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-_MOST]:
        file.unlink(missing_ok=True)
