"""Writing result files so that a reader never sees half of one, and reading them."""

import json
import os
import pathlib
import tempfile
from typing import Any

from basics.errors import InputError


def write_atomic(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Writes `data` to `path` in one step, creating parent folders.

    The bytes go to a temporary file beside the target, which is then renamed: after a kill the old
    file or the new one is there, never a part.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def require_regular(path: pathlib.Path) -> None:
    """Raises InputError for a pipe or a device, from which reading may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is no regular file: give a file")


def parse_json(data: str | bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: it is none, no UTF-8, or nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: pathlib.Path) -> Any:
    """What a file holds that an earlier run wrote.

    Raises:
        InputError: it is damaged.
    """
    require_regular(path)
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): delete it and resume") from None
