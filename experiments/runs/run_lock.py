"""`run.json`: what a run is, so that it neither overwrites another one nor goes on with one."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from basics.errors import InputError
from basics.files import parse_json, write_atomic

_SHORT = 40  # characters of a value that fits into a message


def lock(
    folder: pathlib.Path,
    configuration: Mapping[str, Any],
    *,
    taken: bool,
    resume: bool,
    **notes: Any,
) -> None:
    """Makes a folder this run's own, and writes what the run is to its `run.json`.

    Args:
        folder: where the run writes to; made if it does not exist.
        configuration: what a run that goes on with this one must have in common with it,
            JSON-serializable.
        taken: whether the folder holds results.
        resume: whether to go on with them.
        **notes: what else is worth knowing of the run.

    Raises:
        InputError: the folder holds results, and `resume` is off or they are of another run.
    """
    if taken and not resume:
        raise InputError(
            f"{folder} holds a run already: pass --resume to go on with it, or another --output_dir"
        )
    path = folder / "run.json"
    document = json.dumps({"configuration": configuration, **notes}, indent=1)
    if taken:
        _require_equal(path, _configuration(path), json.loads(document)["configuration"])
    write_atomic(path, document + "\n")


def _configuration(path: pathlib.Path) -> dict[str, Any]:
    try:
        return dict(parse_json(path.read_bytes())["configuration"])
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(
            f"{path} does not say what made the results beside it: give another --output_dir"
        ) from None


def _require_equal(path: pathlib.Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for name in now | before:  # in the order of `now`: what was chosen before what follows from it
        old, new = before.get(name), now.get(name)
        if old != new:
            long = max(len(str(old)), len(str(new))) > _SHORT
            difference = f"other {name}" if long else f"{name} {old}, not {new}"
            raise InputError(
                f"{path.parent} was made with {difference}: pass what it was made with, or another "
                "--output_dir"
            )
