"""A digest of what a trace depends on beside its arguments' shapes, the same in every process.

That is what a tracker holds beside its parameters; the code of this project behind it; versions of
libraries; how JAX is set. A module's code is its file, which says what runs when it is imported,
and its functions, classes and constants (in capitals, as PEP 8 has them) as they are now, so that
what is changed while Python runs counts. Modules that these come from are part of it.

Nothing is known of code of neither this project nor an installed library, and of a file that
changed after it was imported. Then there is no digest.
"""

import enum
import functools
import hashlib
import pathlib
import sys
import time
import types
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jaxlib
import numpy as np

_OWN = {"basics", "metaopt", "models", "tracking_tasks"}
_INSTALLED = {"site-packages", "dist-packages"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), slice, np.dtype)
_OF_CODE = ("co_code", "co_exceptiontable", "co_flags", "co_names", "co_varnames", "co_freevars")
_imported = time.time()
_CALLED = (types.FunctionType, staticmethod, classmethod, property)


class UnknownError(Exception):
    """Something that may change without being seen."""


class Fingerprint:
    """A digest of values, and of the modules behind them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._seen: dict[int, tuple[int, Any]] = {}  # by identity, which is theirs while held
        self._modules: dict[str, None] = {}  # in the order in which they were met
        settings = {
            name: getattr(jax.config, name, value)  # with what this thread has entered
            for name, value in sorted(jax.config.values.items())
        }
        self._write(sys.version, jaxlib.__version__, settings)
        self._write(jax.default_backend(), jax.sharding.get_abstract_mesh())

    def hexdigest(self) -> str:
        """The digest of all that was added, and of this project's code behind it.

        Raises:
            UnknownError: if some of that has none.
        """
        done = 0
        while done < len(self._modules):  # they become more meanwhile
            name = list(self._modules)[done]
            self._write(name, _source(sys.modules[name]))
            self._add_all(_of_module(sys.modules[name]), strict=False)
            done += 1
        return _sha256("\n".join(self._parts))

    def add(self, value: Any, strict: bool = True) -> None:
        """Adds a value.

        Args:
            value: anything.
            strict: raise for an object of which nothing is known; else it counts by its type.

        Raises:
            UnknownError: if it, or something within it, has no digest.
        """
        if isinstance(value, _PLAIN):
            self._write(value)
            return
        self._write(type(value).__qualname__)
        if isinstance(value, enum.Enum):
            self._write(value.name)
        elif isinstance(value, pathlib.PurePath):
            self._write(str(value))
        elif isinstance(value, np.ndarray | np.generic | jax.Array):
            array = np.asarray(value)
            self._write(array.shape, array.dtype, array.tobytes())
        elif isinstance(value, Mapping):
            self._add_all(value.items(), strict)
        elif isinstance(value, tuple | list):
            self._add_all(value, strict)
        elif isinstance(value, set | frozenset):
            self._add_all(sorted(value, key=repr), strict)
        elif isinstance(value, jax.tree_util.PyTreeDef):
            self.add(value.node_data(), strict)
            self._add_all(value.children(), strict)
        elif isinstance(value, types.CodeType):
            self._write(_digest(value))
        elif isinstance(value, types.ModuleType):
            self._write(value.__name__)
            self._is_own(value.__name__)
        elif id(value) in self._seen:
            self._write(self._seen[id(value)][0])
        else:
            self._seen[id(value)] = len(self._seen), value
            self._add_object(value, strict)

    def _add_object(self, value: Any, strict: bool) -> None:
        """Adds what counts once: a class, what can be called, what has fields."""
        if isinstance(value, type):
            self._write(value.__module__, value.__qualname__)
            if self._is_own(value.__module__):
                self._add_all((value.__bases__, *_of_class(value)), strict=False)
        elif isinstance(value, types.FunctionType):
            self._write(value.__qualname__, value.__code__.co_firstlineno)
            if self._is_own(value.__globals__.get("__name__", "")):
                self._add_all((value.__code__, value.__defaults__, value.__kwdefaults__), strict)
            self._add_all(map(_content, value.__closure__ or ()), strict)
        elif isinstance(value, types.MethodType):
            self._add_all((value.__func__, value.__self__), strict)
        elif isinstance(value, property):
            self.add(value.fget, strict)
        elif isinstance(value, functools.partial):
            self._add_all((value.func, value.args, value.keywords), strict)
        elif hasattr(value, "__wrapped__"):  # a jitted function, a custom derivative
            self.add(value.__wrapped__, strict)
        elif fields := _fields(value):
            self.add(type(value), strict)
            self._add_all(sorted(fields.items()), strict)
        elif isinstance(getattr(value, "__qualname__", None), str):  # written in C
            self._write(getattr(value, "__module__", None), value.__qualname__)
        elif strict:
            raise UnknownError(repr(value))

    def _add_all(self, values: Iterable[Any], strict: bool) -> None:
        for value in values:
            self.add(value, strict)
        self._write("end")

    def _is_own(self, module: str) -> bool:
        """Whether a module is of this project; then its code is part of the digest.

        Raises:
            UnknownError: if it is of nobody that is known.
        """
        root = module.partition(".")[0]
        if root in _OWN and module in sys.modules:
            self._modules.setdefault(module)
            return True
        if not (_is_library(root) or root.startswith("namedtuple_")):  # as Python names them
            raise UnknownError(module)
        self._write(root, getattr(sys.modules.get(root), "__version__", None))
        return False

    def _write(self, *values: Any) -> None:
        self._parts.append(repr(values))


def _source(module: types.ModuleType) -> bytes:
    """What a module was imported from, in short."""
    path = pathlib.Path(module.__file__ or "")
    if path.stat().st_mtime > _imported:
        raise UnknownError(f"{path} has changed")
    return hashlib.sha256(path.read_bytes()).digest()


def _of_module(module: types.ModuleType) -> list[tuple[str, Any]]:
    """What of a module's globals lasts; others change while programs run."""
    return [
        (name, value)
        for name, value in sorted(vars(module).items())
        if name.isupper()
        or isinstance(value, type | types.FunctionType | types.ModuleType)
        or hasattr(value, "__wrapped__")
    ]


def _of_class(kind: type) -> list[tuple[str, Any]]:
    """The attributes that are a class's own, without those that Python adds."""
    return [
        (name, value)
        for name, value in sorted(vars(kind).items())
        if isinstance(value, _CALLED) or not (name.startswith("__") or name == "_abc_impl")
    ]


def _fields(value: Any) -> dict[str, Any]:
    """The attributes of an object."""
    slots = {
        name
        for kind in type(value).__mro__
        for name in getattr(kind, "__slots__", ())
        if hasattr(value, name)
    }
    return {name: getattr(value, name) for name in slots} | getattr(value, "__dict__", {})


@functools.cache
def _digest(code: types.CodeType) -> str:
    """Of what code does, but not of where it stands."""
    constants = [
        _digest(value)
        if isinstance(value, types.CodeType)
        else sorted(map(repr, value))  # whose own order is another one in every process
        if isinstance(value, frozenset)
        else value
        for value in code.co_consts
    ]
    return _sha256(repr([constants, *(getattr(code, name) for name in _OF_CODE)]))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _content(cell: types.CellType) -> Any:
    """What a function holds of the one around it; that may be nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        raise UnknownError("an empty cell") from None


@functools.cache
def _is_library(root: str) -> bool:
    """Whether the package is Python's own or an installed one."""
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return root in sys.stdlib_module_names or bool(_INSTALLED & set(pathlib.Path(file).parts))
