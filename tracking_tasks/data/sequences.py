"""Annotated sequences on disk: one target, its frames and its boxes.

A reader takes the folder of a data set as published and returns its sequences; `FORMATS` names the
readers. Frames are decoded only when they are asked for.
"""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from tracking_tasks.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

# First and last file number of the part that OTB annotates, where the folder holds more.
_OTB_RANGES = {
    "David": (300, 770),
    "Diving": (1, 215),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
}


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One target in one video, or in one still image.

    Only the first three fields are needed. The others hold what a format says beyond boxes, for the
    protocols that ask for it; None, or nothing, means that the format does not say.

    Attributes:
        name: Unique within its data set.
        frames: The images in order, as files or in memory.
        boxes: The true boxes, one a frame: x, y, width, height in pixels, 0-based. A row without
            positive width and height marks a frame that is not annotated: it is tracked, and each
            protocol says how it is scored. Where the truth is withheld after the first frame
            (GOT-10k and TrackingNet test), those are all later rows.
        visible: The share of the target that can be seen in each frame, in [0, 1].
        absent: True where the target cannot be seen at all: out of view or fully occluded.
        frame_attributes: What holds in which frames, by the format's own names: `full_occlusion`
            and `out_of_view` (LaSOT), `cut_by_image` (GOT-10k), the tags of VOT.
        attributes: What holds for the whole sequence, by the format's own names: `OCC`, `IPR`, ...
        category: What kind of thing the target is, by the format's own name.
        anchors: VOT's starting points: 1 where a tracker starts and runs to the end, -1 where it
            starts and runs to the beginning, 0 elsewhere.
        polygons: The outline that the boxes stand for: corners (x, y) in pixels, 0-based; NaN in
            frames that have none.
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

    Raises:
        InputError: The file is missing, no image, truncated, or deeper than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            deep, pixels = image.mode.startswith(("I", "F")), np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give an image file") from None
    except Exception as error:  # PIL reports damage by many types, depending on the format.
        raise InputError(f"{path} is not a readable image: replace or remove it") from error
    if deep:
        raise InputError(f"{path} has more than 8 bits a channel: convert it to an 8-bit image")
    return pixels


def natural_key(path: pathlib.Path) -> list[tuple[int, int | str]]:
    """Returns a sorting key that orders numbers in file names by value: 2.jpg before 10.jpg."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def list_images(folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Returns the image files of a folder in natural order; hidden files are left out."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    return tuple(sorted(images, key=natural_key))


def read_boxes(path: pathlib.Path) -> Float[np.ndarray, "rows 4"]:
    """Reads a text file of boxes, one `x y width height` a line, as it stands.

    Commas, tabs and spaces all separate. Blank lines may only end the file.

    Raises:
        InputError: A line does not hold four finite numbers; names the file and the line.
    """
    rows = []
    for number, line in enumerate(path.read_bytes().rstrip().splitlines(), start=1):
        try:
            fields = [float(field) for field in re.split(rb"\s*,\s*|\s+", line.strip())]
        except ValueError:
            fields = []
        with np.errstate(over="ignore"):
            row = np.asarray(fields, np.float64).astype(np.float32)
        if row.shape != (4,) or not np.isfinite(row).all():
            text = line.decode(errors="replace")[:40]
            raise InputError(
                f"{path}, line {number}: expected four finite numbers x,y,width,height, "
                f"found {text!r}"
            )
        rows.append(row)
    return np.asarray(rows, np.float32).reshape(-1, 4)


def read_otb(folder: pathlib.Path) -> list[Sequence]:
    """Reads a folder in the layout of the Object Tracking Benchmark (OTB).

    Each sub-folder is a video: `<Name>/img/0001.jpg ...` with `groundtruth_rect.txt`, or one
    `groundtruth_rect.<n>.txt` per target, which makes the sequences `<Name>.1`, `<Name>.2`. The
    published x and y count from 1 and are returned counting from 0. Of the five folders that hold
    more frames than OTB annotates, only the annotated part is read; Tiger1 is read whole.

    Raises:
        InputError: The folder holds no such video, or a ground truth does not match its frames.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the sequences")
    sequences = []
    for video in sorted((path for path in folder.iterdir() if path.is_dir()), key=natural_key):
        sequences.extend(_read_otb_video(video))
    if not sequences:
        raise InputError(
            f"{folder} holds no OTB sequence: expected <Name>/img/0001.jpg and "
            "<Name>/groundtruth_rect.txt"
        )
    return sequences


def _read_otb_video(video: pathlib.Path) -> list[Sequence]:
    truths = sorted(
        path
        for path in video.iterdir()
        if re.fullmatch(r"groundtruth_rect(\.[0-9]+)?\.txt", path.name)
    )
    images = video / "img"
    if not truths and not images.is_dir():
        return []
    if not truths:
        raise InputError(f"{video} has no groundtruth_rect.txt beside its img folder")
    if not images.is_dir():
        raise InputError(f"{images} does not exist: it must hold the frames of {truths[0].name}")
    frames = list_images(images)
    if video.name in _OTB_RANGES:
        first, last = _OTB_RANGES[video.name]
        frames = tuple(path for path in frames if first <= _file_number(path) <= last)
    sequences = []
    for path in truths:
        boxes = read_boxes(path)
        target = path.name.removeprefix("groundtruth_rect").removesuffix(".txt")
        if target and len(boxes) == 0:
            continue  # Human4 is published with an empty file for a target nobody annotated.
        if len(boxes) != len(frames) or len(frames) == 0:
            raise InputError(
                f"{path} has {len(boxes)} lines for {len(frames)} frames in {images}: "
                "there must be one line a frame"
            )
        zero_based = boxes - np.asarray([1, 1, 0, 0], np.float32)
        sequences.append(Sequence(video.name + target, frames, zero_based))
    return sequences


def _file_number(path: pathlib.Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else -1


FORMATS: dict[str, Callable[[pathlib.Path], list[Sequence]]] = {"otb": read_otb}


def read_dataset(folder: pathlib.Path, dataset_format: str) -> list[Sequence]:
    """Reads a data set by the name of its format, a key of `FORMATS`.

    Raises:
        InputError: The format is unknown, or its reader refuses the folder.
    """
    if dataset_format not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"unknown dataset format {dataset_format!r}: known formats are {known}")
    return FORMATS[dataset_format](folder)
