"""Objects annotated in still images, in COCO's notation or a shorter one of our own."""

import os
import pathlib
from typing import Any, NamedTuple

from tqdm import tqdm

from basics.errors import InputError
from basics.files import parse_json, require_regular
from basics.names import inside, require_name
from tracking_tasks.data.run_lengths import parse_counts

PATTERN = "instances*.json"

Point = tuple[float, float]


class Instance(NamedTuple):
    """One annotated object.

    Attributes:
        name: unique among the objects of its image.
        size: width and height of its image.
        box: x, y, width and height in pixels, 0-based.
        category: the annotator's number.
        category_name: its name, or nothing.
        polygons: the outline: one polygon for each part.
        counts: or its mask, as of `run_lengths`.
    """

    name: str
    size: tuple[int, int]
    box: tuple[float, float, float, float]
    category: int
    category_name: str
    polygons: list[list[Point]]
    counts: list[int] | None = None


def read_annotations(path: pathlib.Path) -> dict[pathlib.Path, list[Instance]]:
    """Reads the annotated objects of each image.

    Either COCO's `{"images": [...], "annotations": [...], "categories": [...]}`, whose images lie
    beside the file, or, for `annotations/instances_<split>.json`, in `<split>` or `images/<split>`
    beside that folder; crowds, and objects without an area, are left out. Or a list of
    `{"file": name, "width": w, "height": h, "instances": [...]}`, images beside the file, each
    instance `{"category": number, "polygon": [[x, y], ...], "box": [x, y, w, h]}`, the box
    optional. All in 0-based pixels.

    Raises:
        InputError: the file is not of that form; names the entry.
    """
    require_regular(path)
    try:
        document = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: restore it or remove its name") from None
    except (OSError, ValueError) as error:
        raise _unfit(path, error) from error
    if isinstance(document, list):
        return _read_list(path, document)
    if isinstance(document, dict) and {"images", "annotations"} <= document.keys():
        return _read_coco(path, document)
    raise _unfit(path, f"a {type(document).__name__} without images and annotations")


def _unfit(path: pathlib.Path, reason: object) -> InputError:
    return InputError(
        f"{path}: not a list of photographs with polygons ({reason}); write it as COCO-style "
        "instances or remove it"
    )


def _read_list(path: pathlib.Path, entries: list[Any]) -> dict[pathlib.Path, list[Instance]]:
    found: dict[pathlib.Path, list[Instance]] = {}
    for index, entry in enumerate(entries, start=1):
        with _Entry(f"{path}: not a list of photographs with polygons: entry", index):
            file, size, items = str(entry["file"]), _size(entry), list(entry["instances"])
            found[inside(path.parent, file)] = instances = []
        for number, item in enumerate(items, start=1):
            with _Entry(f"{path}: {file}, instance", number):
                instances.append(_listed(number, size, item))
    return found


def _listed(number: int, size: tuple[int, int], item: dict[str, Any]) -> Instance:
    if len(item["polygon"]) < 3 or any(len(point) != 2 for point in item["polygon"]):
        raise ValueError("a polygon that is not three or more [x, y] points")
    polygon = _corners([value for point in item["polygon"] for value in point], size)
    xs, ys = zip(*polygon, strict=True)
    hull = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    box = _box(item.get("box", hull))
    return Instance(str(number), size, box, int(item["category"]), "", [polygon])


def _read_coco(path: pathlib.Path, document: dict[str, Any]) -> dict[pathlib.Path, list[Instance]]:
    names: dict[int, str] = {}
    for index, entry in enumerate(_items(path, document, "categories"), start=1):
        with _Entry(f"{path}, category", index):
            names[int(entry["id"])] = str(entry["name"])
    images: dict[int, tuple[str, tuple[int, int]]] = {}
    for index, entry in enumerate(_items(path, document, "images"), start=1):
        with _Entry(f"{path}, image", index):
            images[int(entry["id"])] = (str(entry["file_name"]), _size(entry))
            inside(path.parent, str(entry["file_name"]))
    folder = _images_folder(path, [file for file, _ in images.values()])
    found: dict[pathlib.Path, list[Instance]] = {folder / file: [] for file, _ in images.values()}
    annotations = tqdm(_items(path, document, "annotations"), desc=path.name, delay=5)
    for index, entry in enumerate(annotations, start=1):
        with _Entry(f"{path}, annotation", index):
            number = int(entry["image_id"])
            if number not in images:
                raise ValueError(f"its image {number} is not listed")
            file, size = images[number]
            instance = _annotated(index, size, entry, names)
        if instance is not None:
            found[folder / file].append(instance)
    return found


def _annotated(
    index: int, size: tuple[int, int], item: dict[str, Any], names: dict[int, str]
) -> Instance | None:
    if item.get("iscrowd"):
        return None
    box = _box(item["bbox"])
    if not min(box[2:]) > 0:
        return None
    category = int(item["category_id"])
    segmentation = item.get("segmentation") or []
    counts, polygons = None, []
    if isinstance(segmentation, dict):
        counts = parse_counts(segmentation, size)
    else:
        if any(len(part) % 2 for part in segmentation):
            raise ValueError("a polygon that is not x and y by turns")
        polygons = [_corners(part, size) for part in segmentation if len(part) > 4]
    name = require_name(str(item.get("id", index)))
    return Instance(name, size, box, category, names.get(category, ""), polygons, counts)


def _items(path: pathlib.Path, document: dict[str, Any], key: str) -> list[Any]:
    items = document.get(key, [])
    if not isinstance(items, list):
        raise _unfit(path, f"{key} is no list")
    return items


class _Entry:
    """Turns what a damaged entry raises into an InputError that says where it stands."""

    def __init__(self, where: str, index: int) -> None:
        self.where, self.index = where, index

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        where = f"{self.where} {self.index}"
        if isinstance(error, KeyError):
            raise InputError(f"{where} has no {error}; complete or remove it") from error
        if isinstance(error, ValueError | TypeError | AttributeError | OverflowError):
            raise InputError(f"{where} is malformed: {error}; correct or remove it") from error


def _size(entry: dict[str, Any]) -> tuple[int, int]:
    width, height = int(entry["width"]), int(entry["height"])
    if not (0 < width < 10**5 and 0 < height < 10**5):
        raise ValueError(f"an image of {width}x{height} pixels")
    return width, height


def _box(values: Any) -> tuple[float, float, float, float]:
    # No image is a million pixels wide; the comparison also fails for NaN.
    if len(values) != 4 or not all(abs(value) < 1e6 for value in values):
        raise ValueError("a box that is not x, y, width, height")
    x, y, width, height = map(float, values)
    return x, y, width, height


def _corners(values: Any, size: tuple[int, int]) -> list[Point]:
    """Returns x and y by turns as points; plain Python, for there are a million polygons."""
    # Annotators click up to a pixel beyond the edge; the comparison also fails for NaN.
    right, bottom = size[0] + 1, size[1] + 1
    if not (
        all(-1 <= value <= right for value in values[0::2])
        and all(-1 <= value <= bottom for value in values[1::2])
    ):
        raise ValueError(f"an outline outside its {size[0]}x{size[1]} pixels")
    return [(float(x), float(y)) for x, y in zip(values[0::2], values[1::2], strict=True)]


def _images_folder(path: pathlib.Path, files: list[str]) -> pathlib.Path:
    """Returns the folder of the images: the first of the usual places that has any of them."""
    split = path.stem.removeprefix("instances").removeprefix("_")
    outer = path.parent.parent
    places = [path.parent, path.parent / "images", outer / "images", outer]
    if split:
        places += [outer / split, outer / "images" / split, path.parent / split]
    for place in places:
        if any(os.path.isfile(place / file) for file in files):
            return place
    raise InputError(f"{path}: none of its {len(files)} images is found: put them into {places[0]}")
