"""The base class of everything in metaopt: a frozen dataclass that is a pytree."""

import abc
import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

_Tree = TypeVar("_Tree", bound="Pytree")


def static(**options: Any) -> Any:
    """Declares a field that is part of the tree structure: hashable, and a change recompiles."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static))
class Pytree(abc.ABC):  # noqa: B024 - its subclasses bring the abstract methods
    """A frozen dataclass whose fields are children of a pytree; `static` fields are its structure.

    A subclass may write its own `__init__` (which sets fields by `self._set`): rebuilding the
    object from its leaves does not call it, so any JAX transformation may put anything there.
    """

    def __init_subclass__(cls) -> None:
        """Turns the subclass into a frozen dataclass and registers it with JAX."""
        dataclasses.dataclass(frozen=True, eq=False)(cls)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        leaves = [field.name for field in fields if not field.metadata.get("static")]
        meta = [field.name for field in fields if field.metadata.get("static")]

        def flatten_with_keys(tree: Any) -> tuple[list[Any], tuple[Any, ...]]:
            children = [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in leaves]
            return children, tuple(getattr(tree, name) for name in meta)

        def unflatten(structure: tuple[Any, ...], children: Any) -> Any:
            tree = object.__new__(cls)
            tree._set(**dict(zip(leaves, children, strict=True)))
            tree._set(**dict(zip(meta, structure, strict=True)))
            return tree

        jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self: _Tree, **changes: Any) -> _Tree:
        """Returns a copy with some fields changed.

        Raises:
            TypeError: if a name is not a field.
        """
        names = {field.name for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        if unknown := changes.keys() - names:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)}")
        copy = object.__new__(type(self))
        copy._set(**{name: getattr(self, name) for name in names} | changes)
        return copy
