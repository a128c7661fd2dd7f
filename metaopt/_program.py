"""Compiled programs of calls outside of jit, kept from call to call.

A program is found again by the values that it is given (structure, shapes and dtypes, as under jit)
and by a description of the functions that it runs: their code and all that they read of their
closures and globals. What cannot be described, because it may change unseen, is not kept.
"""

import collections
import dataclasses
import enum
import functools
import types
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np
from jax.extend.core import get_opaque_trace_state

from metaopt._pytree import Pytree

_MOST = 64  # programs that are kept; the one used the longest time ago goes first

# Of functions of these packages, closures are described and globals are taken for constants.
_LIBRARIES = {"jax", "jaxlib", "numpy", "optax", "flax", "chex", "equinox", "metaopt", "scipy"}
_CONSTANTS = (
    type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type, types.ModuleType,
    enum.Enum, np.dtype, types.BuiltinFunctionType, np.ufunc, types.GenericAlias, types.UnionType,
)  # fmt: skip

_outside = get_opaque_trace_state(convention="flax")
_programs: collections.OrderedDict[Hashable, Callable[..., Any]] = collections.OrderedDict()


def run(function: Callable[..., Any], arguments: tuple[Any, ...], fixed: dict[str, Any]) -> Any:
    """`function(*arguments, **fixed)`, by a compiled program that is kept where one can be.

    Args:
        function: of this package.
        arguments: pytrees.
        fixed: what is part of the program: functions, and numbers that give shapes.
    """
    leaves, structure = jax.tree.flatten(arguments)
    if get_opaque_trace_state(convention="flax") != _outside or any(
        isinstance(leaf, jax.core.Tracer) for leaf in leaves
    ):
        return function(*arguments, **fixed)
    try:
        key = (function, tuple(map(_argument, arguments)), _describe(fixed, {}))
        program = _programs.pop(key, None)
    except (_Unknown, TypeError):  # TypeError: a description without a hash
        return function(*arguments, **fixed)
    if program is None:
        program = jax.jit(lambda leaves: function(*jax.tree.unflatten(structure, leaves), **fixed))
    _programs[key] = program
    if len(_programs) > _MOST:
        _programs.popitem(last=False)
    return program(leaves)


class _Unknown(Exception):
    """Something that may change without being seen."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Same:
    """An object that never changes, by its identity; held, so that no other takes it over."""

    thing: Any

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing


def _argument(tree: Any) -> Hashable:
    """Describes an argument but for its leaves, which the program is given."""
    if isinstance(tree, Pytree):
        fields = dataclasses.fields(tree)  # type: ignore[arg-type]
        parts = (
            _describe(getattr(tree, f.name), {})
            if f.metadata.get("static")
            else _argument(getattr(tree, f.name))
            for f in fields
        )
        return (type(tree), *parts)
    if isinstance(tree, jax.tree_util.Partial):
        return "partial", _describe(tree.func, {}), _argument(tree.args), _argument(tree.keywords)
    if type(tree) in (tuple, list):
        return (type(tree), *map(_argument, tree))
    return jax.tree.structure(tree)


def _describe(value: Any, seen: dict[int, int]) -> Hashable:
    """Describes a value that the program holds.

    Args:
        value: anything.
        seen: the functions met so far, by id, in the order in which they were met.

    Raises:
        _Unknown: if it may change unseen.
    """
    inside = functools.partial(_describe, seen=seen)
    if isinstance(value, _CONSTANTS):
        return type(value), value
    if isinstance(value, jax.Array):
        return _Same(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return value.shape, value.dtype, value.tobytes()
    if isinstance(value, types.FunctionType):
        if id(value) in seen:
            return "again", seen[id(value)]
        seen[id(value)] = len(seen)
        return _function(value, inside)
    if isinstance(value, types.MethodType):
        return inside(value.__func__), inside(value.__self__)
    if isinstance(value, functools.partial):
        return inside(value.func), inside(value.args), inside(value.keywords)
    if isinstance(value, dict):
        return (dict, *((inside(name), inside(item)) for name, item in value.items()))
    if isinstance(value, tuple | list):
        return (type(value), *map(inside, value))
    if not jax.tree_util.all_leaves([value]):
        leaves, structure = jax.tree.flatten(value)
        return structure, tuple(map(inside, leaves))
    if type(value).__module__.split(".")[0] in _LIBRARIES:
        return _Same(value)  # a jitted function, a custom derivative
    raise _Unknown


def _function(function: types.FunctionType, inside: Callable[[Any], Hashable]) -> Hashable:
    """Describes a function by its code and what it reads beside its arguments."""
    try:
        held = tuple(inside(cell.cell_contents) for cell in function.__closure__ or ())
    except ValueError:  # a cell that is still empty
        raise _Unknown from None
    defaults = inside(function.__defaults__), inside(function.__kwdefaults__)
    home = function.__globals__
    if str(home.get("__name__")).split(".")[0] in _LIBRARIES:
        return function.__code__, held, defaults
    names = sorted(name for name in _names(function.__code__) if name in home)
    return function.__code__, held, defaults, tuple((name, inside(home[name])) for name in names)


@functools.lru_cache(1024)
def _names(code: types.CodeType) -> frozenset[str]:
    """The names that code reads, functions within it included."""
    inner = (_names(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(code.co_names).union(*inner)
