"""Which images of a folder are the frames of a video."""

import pathlib
import re

from basics.errors import InputError
from tracking_tasks.data.sequences import list_images, natural_key

_NUMBER = re.compile(r"[0-9]+")


def frames(folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """The images of a folder in natural order; those of its `img/` where it has none (OTB).

    Raises:
        InputError: there are none, or of several kinds with the same numbers.
    """
    images = list_images(folder)
    if not images and (folder / "img").is_dir():
        folder = folder / "img"
        images = list_images(folder)
    if not images:
        raise InputError(f"{folder} holds no images: give a video file or a folder of images")
    _require_one_kind(folder, images)
    return images


def matching(pattern: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """The images of a folder whose names match, such as `frames/*.jpg`, in natural order.

    Raises:
        InputError: there are none.
    """
    named = set(pattern.parent.glob(pattern.name))
    images = tuple(path for path in list_images(pattern.parent) if path in named)
    if not images:
        raise InputError(f"{pattern} names no images: give a folder of images")
    return tuple(sorted(images, key=natural_key))


def _require_one_kind(folder: pathlib.Path, images: tuple[pathlib.Path, ...]) -> None:
    """Raises InputError where two images have the same number: a twin, or a mask beside a frame."""
    seen: dict[tuple[str, ...], str] = {}
    for path in images:
        number = tuple(part.lstrip("0") for part in _NUMBER.findall(path.stem)) or (path.stem,)
        twin = seen.setdefault(number, path.name)
        if twin != path.name:
            raise InputError(
                f"{folder} holds both {twin} and {path.name}: move those that are no frames away, "
                f"or name the frames, such as --video='{folder / '*'}{path.suffix}'"
            )
