"""The register of trackers that programs choose from."""

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import TypeVar

from basics import plugins
from tracking_tasks.trackers.base import Tracker

_Class = TypeVar("_Class", bound=type[Tracker])
_CLASSES: dict[str, type[Tracker]] = {}


def register(tracker: _Class) -> _Class:
    """Makes a tracker known under its `name`; a decorator of its class."""
    _CLASSES[tracker.name] = tracker
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
    """Imports `tracker.py` of every folder beside this file, and a user's own modules."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.ispkg:
            importlib.import_module(f"{package}.{module.name}.tracker")
    plugins.load()


def _found() -> dict[str, type[Tracker]]:
    _import_all()
    return _CLASSES
