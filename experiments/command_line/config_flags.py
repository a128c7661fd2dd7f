"""Flags for every constant of a config dataclass, with the meaning that its docstring gives."""

import ast
import dataclasses
import inspect
import re
import types
import typing
from typing import Any, Generic, TypeVar

from absl import flags

Config = TypeVar("Config")
_ATTRIBUTE = re.compile(r"^(\w[\w, ]*): (.*)$")


class ConfigFlags(Generic[Config]):
    """--<prefix>.<field> for each field of a frozen dataclass, and of those inside it.

    Values are written as in Python, text without quotes: --dimp.crop_size=288,
    --dimp.scales=(0.96,1.0,1.04), --dimp.update=average.

    Args:
        registry: where the flags are defined.
        prefix: of their names.
        default: the config whose values `--help` shows.
    """

    def __init__(self, registry: flags.FlagValues, prefix: str, default: Config) -> None:
        self._parts: dict[str, ConfigFlags[Any]] = {}
        self._leaves: dict[str, flags.FlagHolder[Any]] = {}
        meanings = attribute_meanings(type(default))
        hints = typing.get_type_hints(type(default))
        for field in dataclasses.fields(default):  # type: ignore[arg-type]
            name, value = f"{prefix}.{field.name}", getattr(default, field.name)
            if dataclasses.is_dataclass(value):
                self._parts[field.name] = ConfigFlags(registry, name, value)
            else:
                parser = _Literal(hints[field.name])
                meaning = meanings.get(field.name, "")
                holder = flags.DEFINE(parser, name, value, meaning, registry, _Repr())
                self._leaves[field.name] = holder

    @property
    def given(self) -> dict[str, Any]:
        """What the command line gives, by the name of the flag."""
        given = {leaf.name: leaf.value for leaf in self._leaves.values() if leaf.present}
        return given | {k: v for part in self._parts.values() for k, v in part.given.items()}

    def apply(self, config: Config) -> Config:
        """The config with the values that the command line gives."""
        changes = {name: part.apply(getattr(config, name)) for name, part in self._parts.items()}
        changes |= {name: leaf.value for name, leaf in self._leaves.items() if leaf.present}
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def attribute_meanings(cls: type) -> dict[str, str]:
    """The text of each attribute in the "Attributes:" sections of a class and those above it."""
    meanings: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        meanings |= _own_meanings(each)
    return meanings


def _own_meanings(cls: type) -> dict[str, str]:
    _, _, section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith("    "):
            break
        start = _ATTRIBUTE.match(line[4:])
        if start:
            names = [name.strip() for name in start[1].split(",")]
            meanings |= dict.fromkeys(names, start[2])
        elif line.strip():
            meanings |= {name: f"{meanings[name]} {line.strip()}" for name in names}
    return meanings


class _Literal(flags.ArgumentParser[Any]):
    """Reads a value of a type as Python writes it."""

    syntactic_help = ""

    def __init__(self, hint: Any) -> None:
        self._hint = hint

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        try:
            literal = ast.literal_eval(argument)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            literal = argument
        for candidate in (literal, _with_floats(literal), argument):
            if _is(candidate, self._hint):
                return candidate
        raise ValueError(f"must be {_describe(self._hint)}, not {argument!r}")

    def flag_type(self) -> str:
        return _describe(self._hint)


class _Repr(flags.ArgumentSerializer[Any]):
    """Writes a value so that it is read back."""

    def serialize(self, value: Any) -> str:
        return value if isinstance(value, str) else repr(value)


def _is(value: Any, hint: Any) -> bool:
    """Whether a value is of a type that configs have: plain, Literal, a union, or a tuple."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value in arguments
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, argument) for argument in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is Ellipsis:
            return all(_is(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_is, value, arguments))
    return type(value) is hint


def _with_floats(value: Any) -> Any:
    """The same with floats in the place of integers."""
    if isinstance(value, tuple):
        return tuple(map(_with_floats, value))
    return float(value) if type(value) is int else value


def _describe(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_describe, arguments))
    if isinstance(hint, type) and origin is None:
        return {"NoneType": "None"}.get(hint.__name__, hint.__name__)
    return str(hint).replace("typing.", "")
