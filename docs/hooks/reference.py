"""Every public name stands on a page of docs/reference/, and has a docstring."""

import importlib
import inspect
import logging
import os
import pathlib
import re
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
# Packages with a public face.
FACES = ("metaopt", "metaopt.optimizers", "tracking_tasks", "tracking_tasks.evaluation")
# Mappings, which the text of a page tells of.
LISTED = {"tracking_tasks.TRACKERS", "tracking_tasks.evaluation.PROTOCOLS"}
_log = logging.getLogger("mkdocs.hooks.reference")  # a warning there ends a strict build
# What `dir` shows of a face without being a part of it.
_INNER = {"importlib", "pathlib", "Any", "TYPE_CHECKING", "annotations"}


def on_startup(**_: Any) -> None:
    """Lets the kernels of the tutorials find the packages of the clone."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)


def on_files(files: Any, **_: Any) -> Any:
    """Warns of what is missing."""
    for problem in problems():
        _log.warning(problem)
    return files


def problems() -> list[str]:
    """What is wrong, a sentence each."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    shown = {name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)}
    wanted = set().union(*(public(package) for package in FACES)) - LISTED
    found = [f"{name} is public and on no page of docs/reference/" for name in wanted - shown]
    found += [f"{name} is on a page and there is no such name" for name in shown if not has(name)]
    found += [f"{name} has no docstring" for name in shown if has(name) and not documented(name)]
    return sorted(found)


def public(package: str) -> set[str]:
    """The public names of a package that are no modules."""
    module = importlib.import_module(package)
    names = [name for name in dir(module) if not name.startswith("_") and name not in _INNER]
    if package == "metaopt.optimizers":
        names.remove("InnerOptimizer")  # metaopt's own
    values = {name: getattr(module, name) for name in names}
    return {f"{package}.{name}" for name, value in values.items() if not inspect.ismodule(value)}


def has(name: str) -> bool:
    """Whether there is such a name."""
    return found_at(name) is not None


def documented(name: str) -> bool:
    """Whether it says what it is; a value, such as a registry, is told of by its page."""
    value = found_at(name)
    plain = not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value))
    return plain or bool(getattr(value, "__doc__", None))


def found_at(name: str) -> Any:
    """What a dotted name leads to; None if nowhere."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            value = getattr(value, part, None)
        return value
    return None
