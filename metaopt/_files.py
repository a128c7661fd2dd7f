"""Rules in files that hold data only: arrays and a description, in the safetensors format."""

import builtins
import dataclasses
import importlib.resources
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metaopt import _safetensors
from metaopt._pytree import Pytree
from metaopt.optimizers._base import InnerOptimizer, make

_DESCRIPTION = "metaopt"
_PLAIN = (bool, int, float, str, type(None))
_WEIGHTS = "weights"


def save(path: str | os.PathLike[str], optimizer: InnerOptimizer) -> None:
    """Writes a rule to a file of the safetensors format, as data only.

    The file holds the arrays under their paths, and as JSON the classes, containers and static
    fields around them. A static field that is not data (the optax transformation in a
    `GradientDescent`, a container of another package) is not written: `load` needs a rule to take
    it from.

    Args:
        path: of the file; one that is there is replaced at once, or left whole.
        optimizer: the rule.
    """
    arrays: dict[str, np.ndarray] = {}
    description = _describe(optimizer, "", arrays)
    data = _safetensors.dump(arrays, {_DESCRIPTION: json.dumps(description)})
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def load(path: str | os.PathLike[str], like: InnerOptimizer | None = None) -> InnerOptimizer:
    """Reads a rule that `save` wrote. Runs nothing that stands in the file.

    Args:
        path: of the file.
        like: a rule made as the saved one was, of any values and shapes, for what is not data in
            it: `GradientDescent(optax.adam(0.1))`. A rule of a class of one's own needs none, once
            the module of the class is imported.

    Raises:
        ValueError: if the file is not one of `save`, if it names a class that is not imported, if
            it needs `like`, or if `like` is another rule.
    """
    try:
        arrays, metadata = _safetensors.parse(pathlib.Path(path).read_bytes())
        description = json.loads(metadata[_DESCRIPTION])
    except (KeyError, ValueError, RecursionError):
        raise ValueError(f"{path} holds no rule that metaopt.save wrote.") from None
    try:
        return _rebuild(description, arrays, like, str(path))
    except (LookupError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its description fits no rule.") from error


def pretrained(name: str) -> InnerOptimizer:
    """A rule that comes with the package, ready for `fit` or `as_optax`.

        rule = metaopt.pretrained("orthogonal_mlp").replace(steps=1000.0)
        transformation = metaopt.as_optax(rule)

    `orthogonal_mlp` is an `OrthogonalMLP`, for any network and with no rate to tune; its `steps`
    are yours to set, to those of the training. How it was meta-trained, and where it is ahead of
    Adam at its best rate and where behind: `docs/learned_optimizer.md`.

    Args:
        name: of the rule: "orthogonal_mlp".

    Raises:
        ValueError: if there is none of that name; the message lists those that there are.
    """
    folder = importlib.resources.files("metaopt") / _WEIGHTS
    files = list(folder.iterdir()) if folder.is_dir() else []
    known = sorted(f.name.removesuffix(_SUFFIX) for f in files if f.name.endswith(_SUFFIX))
    if name not in known:
        raise ValueError(f"no pretrained rule {name!r}; known are {', '.join(known) or 'none'}.")
    with importlib.resources.as_file(folder / f"{name}{_SUFFIX}") as path:
        return load(path)


_SUFFIX = ".safetensors"


def _describe(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """The description of a tree, whose arrays are added to `arrays` under their paths."""
    inside = lambda name, item: _describe(item, f"{path}.{name}" if path else str(name), arrays)
    if isinstance(value, Pytree):
        cls = type(value)
        fields = {
            f.name: _static(getattr(value, f.name))
            if f.metadata.get("static")
            else inside(f.name, getattr(value, f.name))
            for f in dataclasses.fields(value)  # type: ignore[arg-type]
        }
        return {"class": f"{cls.__module__}.{cls.__qualname__}", "fields": fields}
    if type(value) is dict:
        items = [[_static(name), inside(name, item)] for name, item in value.items()]
        return {"dict": items}
    if type(value) in (tuple, list):
        return {type(value).__name__: [inside(i, item) for i, item in enumerate(value)]}
    if value is None:
        return {"none": True}
    if jax.tree_util.all_leaves([value]):
        name = path or "value"
        arrays[name] = np.asarray(value, order="C")
        return {"array": name}
    leaves = jax.tree.leaves(value)
    return {"foreign": [inside(i, leaf) for i, leaf in enumerate(leaves)]}


def _static(value: Any) -> Any:
    """The description of a static field."""
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        return {type(value).__name__: [_static(item) for item in value]}
    if isinstance(value, _PLAIN):
        return {"value": value}
    return {"not_data": type(value).__name__}


def _rebuild(description: Any, arrays: dict[str, np.ndarray], like: Any, place: str) -> Any:
    """The tree of a description; what is not data comes from `like`."""
    kind = next(iter(description))
    content = description[kind]
    if kind == "array":
        return jnp.asarray(arrays[content])
    if kind == "none":
        return None
    if kind == "value":
        return content
    if kind == "class":
        return _object(description, arrays, like, place)
    if kind == "dict":
        part = like if isinstance(like, dict) else {}
        keys = [(_rebuild(key, arrays, None, place), item) for key, item in content]
        return {key: _rebuild(item, arrays, part.get(key), place) for key, item in keys}
    if kind in ("tuple", "list"):
        parts = like if isinstance(like, tuple | list) else [None] * len(content)
        if len(parts) != len(content):
            raise ValueError(
                f"{place}: `like` has {len(parts)} entries in place of {len(content)}."
            )
        pairs = zip(content, parts, strict=True)
        rebuilt = [_rebuild(item, arrays, part, place) for item, part in pairs]
        return getattr(builtins, kind)(rebuilt)
    if like is None:
        what = f"a {content}, which is" if kind == "not_data" else "a container of another package,"
        raise ValueError(
            f"{place} holds {what} no data: metaopt.load(path, like=...) takes it from a rule made "
            "as the saved one was."
        )
    if kind == "not_data":
        return like
    leaves = [_rebuild(item, arrays, None, place) for item in content]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _object(description: Any, arrays: dict[str, np.ndarray], like: Any, place: str) -> Pytree:
    name, fields = description["class"], description["fields"]
    classes = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in _subclasses(Pytree)}
    if name not in classes:
        raise ValueError(
            f"{place} holds a {name}, which is not known: import the module of that class first."
        )
    cls = classes[name]
    recipe = fields.get("recipe", {}).get("value")
    if like is None and recipe is not None:
        like = make(recipe, jnp.zeros(()), steps=1, rate=1.0)
    if like is not None and type(like) is not cls:
        raise ValueError(f"{place} holds a {name}, and `like` is a {type(like).__name__}.")
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if known != fields.keys():
        raise ValueError(
            f"{place} holds a {name} of another version: with fields {sorted(fields)}, and the "
            f"class has {sorted(known)}."
        )
    rebuilt = object.__new__(cls)
    rebuilt._set(
        **{
            field: _rebuild(item, arrays, getattr(like, field, None), f"{place}, {name}.{field}")
            for field, item in fields.items()
        }
    )
    return rebuilt


def _subclasses(cls: type[Pytree]) -> Iterator[type[Pytree]]:
    subclasses: list[type[Pytree]] = cls.__subclasses__()
    for sub in subclasses:
        yield sub
        yield from _subclasses(sub)
