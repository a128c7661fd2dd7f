"""The register of trackers that programs choose from."""

import functools
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator, Mapping
from typing import TypeVar

from tracking_tasks.trackers.base import Tracker

# Packages that bring trackers of their own name the modules that register them under this group.
ENTRY_POINTS = "tracking_tasks.trackers"

_Class = TypeVar("_Class", bound=type[Tracker])
_CLASSES: dict[str, type[Tracker]] = {}


def register(tracker: _Class) -> _Class:
    """Makes a tracker known under its `name` by which flags and tables know it; a class decorator.

    In the `tracker.py` of a folder beside this file that is all. In a package of one's own the name
    is known once the module is imported, and programs import it by themselves if the package says
    so in its metadata:

        [project.entry-points."tracking_tasks.trackers"]
        mine = "my_package.my_tracker"

    Raises:
        ValueError: if another tracker has that name.
    """
    known = _CLASSES.setdefault(tracker.name, tracker)
    if known is not tracker:
        raise ValueError(
            f"a tracker is registered as {tracker.name!r} already, by {known.__module__}: choose "
            "another name."
        )
    return tracker


class _Trackers(Mapping[str, type[Tracker]]):
    """All trackers by name, sorted; imported when somebody looks."""

    def __getitem__(self, name: str) -> type[Tracker]:
        return _found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(_found()))

    def __len__(self) -> int:
        return len(_found())


TRACKERS = _Trackers()


@functools.cache
def _import_all() -> None:
    """Imports `tracker.py` of every folder beside this file, and those of other packages."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.ispkg:
            importlib.import_module(f"{package}.{module.name}.tracker")
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        entry_point.load()


def _found() -> dict[str, type[Tracker]]:
    _import_all()
    return _CLASSES
