"""Classes of ImageNet at 84x84 pixels, from a folder."""

import pathlib

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from basics.errors import InputError
from basics.files import require_regular
from basics.names import is_name
from experiments.few_shot.tasks.classes import ImageClasses
from experiments.few_shot.tasks.images import read_image

_SIDE = 84
_SUFFIXES = (".jpg", ".jpeg", ".png")


class MiniImageNet(ImageClasses):
    """miniImageNet (Vinyals et al. 2016) with the split of Ravi and Larochelle.

    Network, inner rate and steps are those of Finn et al., "Model-Agnostic Meta-Learning", ICML
    2017, section A.1: 32 filters, 5 steps at 0.01, 4 tasks in an outer step.
    """

    name = "mini_imagenet"
    inner_steps = 5
    rate = 0.01
    episodes = 4
    outer_steps = 60_000

    @classmethod
    def create(
        cls, *, data_dir: str | None = None, ways: int = 5, shots: int = 1, queries: int = 15
    ) -> "MiniImageNet":
        """From a folder in one of two layouts.

            images/*.jpg with train.csv and test.csv, each with columns filename and label
            train/<class>/*.jpg and test/<class>/*.jpg

        Raises:
            InputError: if files are missing or damaged, or there are too few classes or images.
        """
        if not data_dir:
            raise InputError("mini_imagenet is not downloaded by itself: give its --data_dir")
        training, test = (_read(pathlib.Path(data_dir), split) for split in ("train", "test"))
        sizes = {"ways": ways, "shots": shots, "queries": queries}
        return cls.of(training, test, data_dir, **sizes, filters=(32, 32, 32, 32))


def _read(folder: pathlib.Path, split: str) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    """The images of each class of a split."""
    table = folder / f"{split}.csv"
    by_class = _listed(table) if table.is_file() else _in_folders(folder / split)
    if not by_class:
        raise InputError(
            f"{folder} holds neither {table.name} nor a folder {split} with a folder of images for "
            "each class: give the folder of miniImageNet"
        )
    found = {}
    for name, paths in tqdm(by_class.items(), f"reading {split}", leave=False):
        images = [read_image(path, str(path), mode="RGB", side=_SIDE) for path in paths]
        found[name] = np.stack(images)
    return found


def _listed(table: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The files that a table names, which lie in `images` beside it."""
    by_class: dict[str, list[pathlib.Path]] = {}
    require_regular(table)
    lines = table.read_text(errors="replace").splitlines()
    if lines[:1] != ["filename,label"]:
        raise InputError(f"{table} does not begin with the columns filename,label: get it again")
    for number, line in enumerate(lines[1:], start=2):
        name, _, label = line.partition(",")
        if not label or not is_name(name):
            raise InputError(f"{table}, line {number}: expected the name of a file and a label")
        by_class.setdefault(label, []).append(table.parent / "images" / name)
    return by_class


def _in_folders(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The images in each folder of a folder."""
    images = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in _SUFFIXES)
    by_class: dict[str, list[pathlib.Path]] = {}
    for path in images:
        by_class.setdefault(path.parent.name, []).append(path)
    return by_class
