"""COCO's still images, each annotated object a sequence of one frame."""

import functools
import pathlib

import numpy as np

from basics.errors import InputError
from tracking_tasks.data.coco import PATTERN, Instance, read_annotations
from tracking_tasks.data.formats.common import Found, require_folder
from tracking_tasks.data.sequences import Sequence

SPLITS = ("train", "val")


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the objects that `annotations/instances_<split><year>.json` outlines, crowds aside.

    Images lie in `<split><year>/` or `images/`. A file `instances*.json` in the folder itself does
    as well; see `tracking_tasks.data.coco`. A sequence is named `<image>-<annotation>`.

    Raises:
        InputError: there is no such file, it is damaged, or it outlines nothing.
    """
    require_folder(folder)
    pattern = f"instances_{split}*.json" if split else PATTERN
    paths = sorted([*folder.glob(pattern), *(folder / "annotations").glob(pattern)])
    if not paths:
        raise InputError(f"{folder} holds no COCO annotations: expected annotations/{pattern}")
    found: Found = {}
    for path in paths:
        for image, instances in read_annotations(path).items():
            for instance in instances:
                name = f"{image.stem}-{instance.name}"
                found[name] = functools.partial(_still, name, image, instance)
    if not found:
        raise InputError(f"{paths[0]} outlines no object: give a file with annotations")
    return found


def _still(name: str, image: pathlib.Path, instance: Instance) -> Sequence:
    polygons = None
    if len(instance.polygons) == 1:
        polygons = np.asarray(instance.polygons, np.float32)
    box = np.asarray([instance.box], np.float32)
    return Sequence(name, (image,), box, category=instance.category_name, polygons=polygons)
