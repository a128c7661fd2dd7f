"""Names that constants had before: checkpoints and flag files may still use them.

A constant is written as its flag is: tracker, part, name, with dots between.
"""

from collections.abc import Mapping
from typing import Any

from basics.errors import InputError

RENAMED: Mapping[str, str] = {}

# Constants that are gone, and the value that they always have now.
RETIRED: Mapping[str, Any] = {
    "meta_rtt.training": "episodes",  # the other ways are outer losses of the tables' own
    "meta_rtt.domain_steps": 10,
    "meta_rtt.sparsity": 0.01,
}


def current(tracker: str, constants: Mapping[str, Any]) -> dict[str, Any]:
    """Nested constants of a tracker under the names of today.

    Args:
        tracker: its name.
        constants: under any names that they ever had; parts are nested mappings.

    Raises:
        InputError: if a constant that is gone has a value that nothing stands for today.
    """
    renamed: dict[str, Any] = {}
    for old, value in _flat(tracker, constants).items():
        if old in RETIRED:
            if value != RETIRED[old]:
                raise InputError(
                    f"{old}={value}: this constant is gone, and is {RETIRED[old]} now: train again"
                )
            continue
        _put(renamed, RENAMED.get(old, old).split(".")[1:], value)
    return renamed


def _flat(prefix: str, constants: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in constants.items():
        path = f"{prefix}.{name}"
        flat |= _flat(path, value) if isinstance(value, Mapping) else {path: value}
    return flat


def _put(constants: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        constants = constants.setdefault(part, {})
    constants[path[-1]] = value
