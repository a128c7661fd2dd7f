"""Who writes to a folder: one process at a time, from before anything is computed to its end."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import shlex
import socket
import sys
import time

from absl import logging

from basics.errors import InputError
from basics.files import parse_json

_NAME = ".claim"
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # as on some parallel file systems
_ATTEMPTS = 100  # at a folder that another process takes away, as it made it and left it empty

# This process's claims: the open file that holds each, and the folders that were made for it.
_held: dict[pathlib.Path, tuple[int, list[pathlib.Path]]] = {}


def claim(folder: pathlib.Path, take_over: bool) -> None:
    """Makes a folder this process's own until `release`, or its death, however it dies.

    The claim is a lock of the operating system on the file `.claim`, so that two processes never
    both have it, and none outlives its process; the file says who that is.

    Args:
        folder: made if it does not exist.
        take_over: whether to go on where a process died without releasing its claim.

    Raises:
        InputError: another process has it, or one that died had it and `take_over` is off.
        OSError: the folder cannot be written to.
    """
    path = folder.resolve() / _NAME
    if path in _held:
        return
    made = [each for each in path.parents if not each.exists()]
    file = _locked(path)
    holder = path.read_text(errors="replace")
    if holder and not take_over:
        os.close(file)
        raise InputError(
            f"{folder} was left in the middle of a run by {_described(holder)}, which is dead: "
            "pass --resume to go on with it, or another --output_dir"
        )
    os.ftruncate(file, 0)
    os.write(file, json.dumps(_this_process()).encode())
    _held[path] = file, made


def release() -> None:
    """Gives up all claims of this process; folders that were made and stayed empty go."""
    while _held:
        path, (file, made) = _held.popitem()
        # While the lock is held: who opened the file before looks again.
        with contextlib.suppress(OSError):  # a folder holds results, or is gone itself
            path.unlink()
            for folder in made:
                folder.rmdir()
        os.close(file)


def _locked(path: pathlib.Path) -> int:
    """Opens and locks the file, and sees to it that the path still names it then."""
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                holder = os.read(file, 4096).decode(errors="replace")
                os.close(file)
                raise InputError(
                    f"{path.parent} is being written to by {_described(holder)}: wait until it has "
                    "ended, or give another --output_dir"
                ) from None
            logging.warning("%s cannot be locked: let no other run write there", path.parent)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # it was released, and taken away, before the lock


def _opened(path: pathlib.Path) -> int:
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    raise InputError(f"{path.parent} cannot be made: give another --output_dir")


def _this_process() -> dict[str, str | int]:
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "start": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": shlex.join(sys.argv),
    }


def _described(holder: str) -> str:
    try:
        found = parse_json(holder)
        return f"process {found['process']} on {found['host']} since {found['start']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has not said who it is"
