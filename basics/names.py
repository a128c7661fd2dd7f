"""Names that stand in files and become paths: none leaves the folder that it belongs to."""

import pathlib

from basics.errors import InputError

_LONGEST = 200  # bytes: file systems take 255, and what is written under a name has an ending
_DEEPEST = 1000  # bytes of a path below a folder
_SHOWN = 40  # characters of a name that a message repeats


def is_name(name: str) -> bool:
    """Whether a text can name one file, or one folder, anywhere.

    It is printable, has at most 200 bytes, no separator of any system, and more than dots.
    """
    return (
        name.isprintable()  # which surrogates, as of bytes that are not UTF-8, are not
        and len(name.encode()) <= _LONGEST
        and not {*"/\\"} & {*name}
        and name.strip(". ") != ""
    )


def require_name(name: str) -> str:
    """The name.

    Raises:
        InputError: it cannot name one file, see `is_name`.
    """
    if not is_name(name):
        raise InputError(f"{name[:_SHOWN]!r} cannot be the name of a file: choose another")
    return name


def inside(folder: pathlib.Path, relative: str) -> pathlib.Path:
    """The path that a file names relative to a folder.

    What the path leads to may be a link: who owns the folder decides on that, not the file.

    Args:
        folder: which it may not leave.
        relative: with `/` between names, as in `images/1.jpg`.

    Raises:
        InputError: it is absolute, empty, longer than 1000 bytes, or a part of it is no name, such
            as `..`.
    """
    parts = pathlib.PurePosixPath(relative).parts
    if not parts or len(relative) > _DEEPEST or not all(map(is_name, parts)):
        raise InputError(f"{relative[:_SHOWN]!r} is no path below {folder}: correct it")
    return folder.joinpath(*parts)
