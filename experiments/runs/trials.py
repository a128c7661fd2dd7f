"""The results of trials, one for each row and seed, kept on disk as they are finished."""

import json
import pathlib
from typing import Any

from basics.errors import InputError
from basics.files import read_json, write_atomic


def save(folder: pathlib.Path, row: str, seed: int, result: dict[str, Any]) -> None:
    """Writes a result, JSON-serializable; after a kill it is there whole or not at all."""
    write_atomic(_path(folder, row, seed), json.dumps(result))


def load(folder: pathlib.Path, row: str, seed: int) -> dict[str, Any] | None:
    """The result of a finished trial; None if there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = _path(folder, row, seed)
    if not path.is_file():
        return None
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged (it is no trial): delete it and resume")
    return found


def _path(folder: pathlib.Path, row: str, seed: int) -> pathlib.Path:
    plain = "".join(c if c.isalnum() or c in "+-_." else "_" for c in row)
    return folder / "cells" / f"{plain}-{seed}.json"
