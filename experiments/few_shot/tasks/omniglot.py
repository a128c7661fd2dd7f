"""Handwritten characters of many alphabets, twenty drawings of each."""

import contextlib
import pathlib
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from basics.errors import InputError
from experiments.few_shot.tasks.classes import ImageClasses
from experiments.few_shot.tasks.images import DAMAGED, read_image, to_square

_SIDE = 28  # Vinyals et al. 2016, section 4.1.1
_DRAWING = (105, 105)
_MOST_BYTES = 100_000  # of a drawing's file; they have some hundred
_EVALUATION = "images_evaluation"
_SMALL = ["images_background_small1", "images_background_small2"]
_SOURCE = "https://github.com/brendenlake/omniglot"

Drawings = dict[str, UInt8[np.ndarray, "n h w 1"]]  # by "alphabet/character"


class Omniglot(ImageClasses):
    """Omniglot (Lake et al., "Human-level concept learning", Science 2015), characters rotated.

    The network, the inner step and its rate are those of Finn et al., "Model-Agnostic
    Meta-Learning", ICML 2017, section A.1, for 5 ways; there are fewer tasks in an outer step.
    """

    name = "omniglot"
    inner_steps = 1
    rate = 0.4
    episodes = 4
    outer_steps = 4000

    @classmethod
    def create(
        cls, *, data_dir: str | None = None, ways: int = 5, shots: int = 1, queries: int = 5
    ) -> "Omniglot":
        """From a folder of the published zip files, or through TensorFlow Datasets.

        The characters of `images_evaluation.zip` are the test classes. Of the two small sets
        alone, which come without that file, the first is learned from, and what only the second
        has is the test. Otherwise it is a random fifth of the characters, always the same; Vinyals
        et al. 2016 split all characters at random too.

        Raises:
            InputError: if files are missing or damaged, or there are too few characters.
        """
        training, test = _from_folder(pathlib.Path(data_dir)) if data_dir else _from_tfds()
        origin = data_dir or "omniglot"
        sizes = {"ways": ways, "shots": shots, "queries": queries}
        return cls.of(training, test, origin, **sizes, rotations=4)


def _from_folder(folder: pathlib.Path) -> tuple[Drawings, Drawings]:
    """Training and test characters."""
    paths = {path.stem: path for path in sorted(folder.glob("images_*.zip"))}
    if not paths:
        raise InputError(
            f"{folder} holds no images_*.zip: give the folder of Omniglot's published zip files"
        )
    if _EVALUATION in paths:
        evaluation = read_drawings([paths.pop(_EVALUATION)])
        return read_drawings(paths.values()), evaluation
    if list(paths) == _SMALL:
        training, other = (read_drawings([path]) for path in paths.values())
        return training, {name: other[name] for name in other.keys() - training}
    background = read_drawings(paths.values())
    order = np.random.default_rng(0).permutation(sorted(background))
    test = {name: background[name] for name in order[: len(order) // 5]}
    return {name: each for name, each in background.items() if name not in test}, test


def read_drawings(paths: Iterable[pathlib.Path]) -> Drawings:
    """All drawings in some files; a character that is in two of them counts once."""
    found: dict[str, UInt8[np.ndarray, "n h w 1"]] = {}
    for path in paths:
        of_file: dict[str, list[np.ndarray]] = {}
        for name, drawing in _drawings(path):
            of_file.setdefault(name, []).append(drawing)
        found |= {name: np.stack(drawings) for name, drawings in of_file.items()}
    return found


def _drawings(path: pathlib.Path) -> Iterator[tuple[str, UInt8[np.ndarray, "h w 1"]]]:
    """The character and the pixels of each drawing; read in memory, nothing is extracted."""
    with opened(path, "is no zip file or is damaged") as archive:
        for member in tqdm(archive.infolist(), f"reading {path.name}", leave=False):
            parts = pathlib.PurePosixPath(member.filename).parts
            if len(parts) == 4 and member.filename.endswith(".png"):
                yield f"{parts[1]}/{parts[2]}", read_drawing(archive, member.filename)


@contextlib.contextmanager
def opened(path: pathlib.Path, otherwise: str) -> Iterator[zipfile.ZipFile]:
    """An archive, while it is read.

    Raises:
        InputError: it is damaged, or lacks what is read from it; the message says `otherwise`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    # KeyError: not in the archive. RuntimeError and NotImplementedError: encrypted, or compressed
    # in an unknown way.
    except (*DAMAGED, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise InputError(f"{path} {otherwise}: get it again") from error


def read_drawing(archive: zipfile.ZipFile, name: str) -> UInt8[np.ndarray, "h w 1"]:
    """A drawing of an archive, bright on black."""
    contents = read_member(archive, name)
    pixels = read_image(
        contents, f"{archive.filename}: {name}", mode="L", side=_SIDE, size=_DRAWING
    )
    return 255 - pixels


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small file of an archive.

    Raises:
        InputError: if it is larger than a drawing can be.
    """
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise InputError(f"{archive.filename}: {name} is too large for a drawing")
    return archive.read(name)


def _from_tfds() -> tuple[Drawings, Drawings]:
    """Training and test characters, downloaded once."""
    import tensorflow_datasets as tfds  # takes seconds, which other tasks are spared

    try:
        builder = tfds.builder("omniglot", file_format="array_record")
        if not builder.is_prepared():
            # TFDS would try for minutes before it said that there is no network.
            urllib.request.urlopen(_SOURCE, timeout=10).close()
            builder.download_and_prepare()
        sources = builder.as_data_source(split=["train", "test"])
    except Exception as error:  # whatever a network, a proxy or a full disk makes of it
        raise InputError(
            "Omniglot could not be downloaded; without a network give --data_dir, a folder of its "
            "published zip files"
        ) from error
    training, test = map(_group, sources)
    return training, test


def _group(examples: Iterable[dict[str, Any]]) -> Drawings:
    """The drawings of each character."""
    found: dict[str, list[np.ndarray]] = {}
    for example in tqdm(examples, "reading omniglot", leave=False):
        name = f"{int(example['alphabet'])}/{int(example['alphabet_char_id'])}"
        pixels = to_square(Image.fromarray(example["image"]), mode="L", side=_SIDE)
        found.setdefault(name, []).append(255 - pixels)
    return {name: np.stack(drawings) for name, drawings in found.items()}
