"""Which values of constants can be meant: for flags, files and programs alike."""

import dataclasses
import math
import typing
from typing import Any

from basics.errors import InputError

# By name, whatever the tracker; both ends are included.
_RANGES: dict[str, tuple[float, float]] = {
    "crop_size": (16, 2048),
    "search_factor": (1, 100),
    "memory_size": (1, 10_000),
    "update_interval": (1, 1_000_000),
    "scale_interval": (1, 1_000_000),
    "found_again_share": (0, 10),
    "present_share": (0, 10),
    "redetect_places": (1, 1000),
    "redetect_spacing": (0.05, 100),
    "seed": (0, 2**32 - 1),
}
_COUNT = (0, 100_000)  # of any other integer
_NUMBER = (-1e6, 1e6)  # of any other number
# An integer may stand for a number; a truth value for none.
_TYPES: dict[type, tuple[type, ...]] = {
    bool: (bool,), int: (int,), float: (int, float), str: (str,),
}  # fmt: skip


def require_in_range(config: Any, prefix: str = "") -> None:
    """Checks every constant of a config dataclass, and of those inside it.

    Raises:
        InputError: one is of another type, not finite, or so small or large that it cannot be
            meant.
    """
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            require_in_range(value, f"{name}.")
            continue
        hint = hints[field.name]
        if hint in _TYPES and (
            not isinstance(value, _TYPES[hint]) or isinstance(value, bool) != (hint is bool)
        ):
            raise InputError(
                f"the constant {name} must be of type {hint.__name__}, not {str(value)[:40]!r}"
            )
        for number in value if isinstance(value, tuple) else (value,):
            _require(name, field.name, number)


def _require(shown: str, name: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return
    least, most = _RANGES.get(name, _COUNT if isinstance(number, int) else _NUMBER)
    if not (math.isfinite(number) and least <= number <= most):
        raise InputError(f"the constant {shown} must lie from {least:g} to {most:g}, not {number}")
