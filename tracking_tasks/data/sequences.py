"""Annotated sequences: one target, its frames and its boxes; `formats` reads them from disk.

Frames are decoded only when they are asked for.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageOps

from basics.errors import InputError
from basics.images import open_image
from basics.names import require_name

# What Pillow registers beside pictures: files that it cannot decode, or that hold other things.
_NO_PICTURES = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One target in one video, or in one still image.

    Only the first three fields are needed. The others hold what a format says beyond boxes, for the
    protocols that ask for it; None, or nothing, means that the format does not say.

    Attributes:
        name: unique within its data set, and fit to name the files of its results.
        frames: the images in order, as files or in memory.
        boxes: the true boxes, one a frame: x, y, width, height in pixels, 0-based. A row without
            positive width and height marks a frame that is not annotated: it is tracked, and each
            protocol says how it is scored. Where the truth is withheld after the first frame
            (GOT-10k and TrackingNet test), those are all later rows.
        visible: the share of the target that can be seen in each frame, in [0, 1].
        absent: True where the target cannot be seen at all: out of view or fully occluded.
        frame_attributes: what holds in which frames, by the format's own names: `full_occlusion`
            and `out_of_view` (LaSOT), `cut_by_image` (GOT-10k), the tags of VOT.
        attributes: what holds for the whole sequence, by the format's own names: `OCC`, `IPR`, ...
        category: what kind of thing the target is, by the format's own name.
        anchors: VOT's starting points: 1 where a tracker starts and runs to the end, -1 where it
            starts and runs to the beginning, 0 elsewhere.
        polygons: the outline that the boxes stand for: corners (x, y) in pixels, 0-based; NaN in
            frames that have none.

    Raises:
        InputError: the name cannot be that of a file.
    """

    name: str
    frames: tuple[pathlib.Path | UInt8[np.ndarray, "height width 3"], ...]
    boxes: Float[np.ndarray, "frames 4"]
    visible: Float[np.ndarray, "frames"] | None = None
    absent: Bool[np.ndarray, "frames"] | None = None
    frame_attributes: Mapping[str, Bool[np.ndarray, "frames"]] = dataclasses.field(
        default_factory=dict
    )
    attributes: tuple[str, ...] = ()
    category: str = ""
    anchors: Int[np.ndarray, "frames"] | None = None
    polygons: Float[np.ndarray, "frames corners 2"] | None = None

    def __post_init__(self) -> None:
        require_name(self.name)

    @property
    def annotated(self) -> Bool[np.ndarray, "frames"]:
        """True where there is a true box."""
        return np.all(self.boxes[:, 2:] > 0, axis=1)

    def __len__(self) -> int:
        """Returns the number of frames."""
        return len(self.frames)

    def frame(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """Returns one frame; raises InputError if its file is no image."""
        frame = self.frames[index]
        return read_image(frame) if isinstance(frame, pathlib.Path) else frame


def read_image(path: pathlib.Path) -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image file as RGB, whatever its mode (grey, palette, with transparency).

    It is turned as its EXIF orientation says, as viewers show it.

    Raises:
        InputError: the file is missing, no image, truncated, deeper than 8 bits a channel, or
            refused by `open_image`.
    """
    try:
        with open_image(path) as image:
            deep = image.mode.startswith(("I", "F"))
            ImageOps.exif_transpose(image, in_place=True)
            pixels = np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give an image file") from None
    except InputError:
        raise
    except Exception as error:  # PIL reports damage by many types, depending on the format.
        raise InputError(f"{path} is not a readable image: replace or remove it") from error
    if deep:
        raise InputError(f"{path} has more than 8 bits a channel: convert it to an 8-bit image")
    return pixels


def natural_key(path: pathlib.Path) -> list[tuple[int, int | str]]:
    """Returns a sorting key that orders numbers in file names by value: 2.jpg before 10.jpg."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


@functools.cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of the images that Pillow reads, in lower case: ".jpg", ".png", ".tif", ..."""
    known = Image.registered_extensions().items()
    return frozenset(
        suffix for suffix, kind in known if kind in Image.OPEN and kind not in _NO_PICTURES
    )


def list_images(folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Returns the image files of a folder in natural order; hidden files are left out."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in image_suffixes() and not path.name.startswith(".")
    ]
    return tuple(sorted(images, key=natural_key))
