"""The photo bank: photographs and cut-out objects as arrays, the renderer's only raw material."""

import hashlib
import os
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import skimage
from flax import struct
from jaxtyping import Array, Bool, Float, Int, UInt8
from PIL import Image, ImageOps
from tqdm import tqdm

from basics.errors import InputError
from basics.images import open_image
from tracking_tasks.data import coco, outlines
from tracking_tasks.data.cutouts import SMALLEST_OBJECT, Crop, CutOut, cut_all

SPLITS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
_INVENTED = 12  # shapes per photograph
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
# The photographs of scenes and things that come inside scikit-image's wheel; its plain textures
# (brick, grass, gravel) look the same everywhere, so nothing can be followed over them.
_BUNDLED = (
    *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "ihc.png"),
    *("hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg"),
)


@struct.dataclass
class PhotoBank:
    """Photographs and outlined objects of one split; p photographs, m objects, all on the device.

    Attributes:
        photos: the photographs: shorter side resized to the side given, then cropped square.
        cutouts: the objects as RGBA tiles; alpha is the antialiased mask. An object is centred and
            its longer side fills 84 % of the tile.
        extent: width and height of each object as shares of the tile.
        category: the annotator's category, -1 where there is none.
        photo: the index of the photograph that each object was cut from.
        place: where the tile lies in that photograph: centre x, y and half the tile's side, in
            pixels of `photos`.
        inside: True if the object lies inside its square photograph and is small enough to be
            tracked there.
    """

    photos: UInt8[Array, "p side side 3"]
    cutouts: UInt8[Array, "m tile tile 4"]
    extent: Float[Array, "m 2"]
    category: Int[Array, " m"]
    photo: Int[Array, " m"]
    place: Float[Array, "m 3"]
    inside: Bool[Array, " m"]


class _Photograph(NamedTuple):
    name: str
    path: pathlib.Path
    instances: list[coco.Instance]


def load_bank(
    folder: str | os.PathLike[str] | None = None,
    split: str = "train",
    *,
    side: int = 320,
    tile: int = 128,
    limit: int | None = None,
) -> PhotoBank:
    """Loads the photographs of one split, with their outlined objects.

    A folder is searched recursively. Objects come from COCO's `instances_<split>.json`, or from an
    `instances.json` beside the photographs it names (see `coco`), and from region label maps
    `<name>_regions.png` beside a photograph; photographs with neither are backgrounds. Where no
    photograph has an outline, random shapes cut from the photographs take the place of objects.

    Args:
        folder: a folder of images; None takes the photographs that come with scikit-image.
        split: which photographs: 80 % train, 10 % validation, 10 % test, by a hash of the name.
        side: side of the square photographs, in pixels.
        tile: side of the square cut-outs, in pixels.
        limit: keep at most this many photographs (the first by hash); None keeps all.

    Raises:
        InputError: for an unknown split, a missing folder, too few images, an image that cannot be
            decoded, broken annotations, or an outline outside its picture; names the file.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}")
    source = _bundled() if folder is None else _search(pathlib.Path(folder))
    chosen = _choose(source, split)[:limit]
    if not chosen:
        raise InputError(
            f"{folder or 'scikit-image'}: no photograph for the {split} split among "
            f"{len(source)} images; give a folder of at least 10 .jpg or .png images"
        )
    photos = np.empty((len(chosen), side, side, 3), np.uint8)
    objects: list[CutOut] = []
    outlined = any(item.instances or _regions(item.path).exists() for item in chosen)
    generator = np.random.default_rng(0)
    for index, photograph in enumerate(tqdm(chosen, desc=f"{split} photographs", delay=5)):
        image = _open(photograph.path, "RGB")
        if outlined:
            found = _read_outlines(photograph, image)
        else:
            image.thumbnail((2 * side, 2 * side))
            found = outlines.invented_outlines(generator, np.asarray(image), _INVENTED)
        crop = Crop.around(image.size, side, found)
        photos[index] = crop.apply(image)
        objects += cut_all(image, found, crop, index, tile)
    if not objects:
        raise InputError(
            f"{folder}: no object of the {split} split is whole, textured and at least "
            f"{SMALLEST_OBJECT:.0f} pixels long; give larger photographs or more outlines"
        )
    return _assemble(photos, objects)


def _search(folder: pathlib.Path) -> list[_Photograph]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of .jpg or .png images")
    annotations: dict[pathlib.Path, list[coco.Instance]] = {}
    for path in sorted(folder.rglob(coco.PATTERN)):
        annotations |= coco.read_annotations(path)
    return [
        _Photograph(
            path.relative_to(folder).as_posix(),
            path,
            annotations.get(path, []),
        )
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _IMAGE_SUFFIXES
        and not path.name.endswith(outlines.REGIONS_SUFFIX)
    ]


def _bundled() -> list[_Photograph]:
    folder = pathlib.Path(skimage.__file__).parent / "data"
    return [_Photograph(name, folder / name, []) for name in _BUNDLED if (folder / name).exists()]


def _choose(source: list[_Photograph], split: str) -> list[_Photograph]:
    # The hash orders the names and the ranks are cut, so that few photographs still fill a split.
    ordered = sorted(source, key=lambda item: hashlib.sha256(item.name.encode()).digest())
    first, last = (round(edge * len(ordered)) for edge in SPLITS[split])
    return ordered[first:last]


def _open(path: pathlib.Path, mode: str) -> Image.Image:
    try:
        with open_image(path) as image:
            return ImageOps.exif_transpose(image).convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: cannot be decoded as an image ({error}); remove or replace it"
        ) from error


def _regions(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.stem + outlines.REGIONS_SUFFIX)


def _read_outlines(photograph: _Photograph, image: Image.Image) -> list[outlines.Outline]:
    for instance in photograph.instances:
        if instance.size != image.size:
            raise InputError(
                f"{photograph.path} has {image.width}x{image.height} pixels, its annotation says "
                f"{instance.size[0]}x{instance.size[1]}; use the photograph that was annotated"
            )
    found = outlines.instance_outlines(image.size, photograph.instances)
    regions = _regions(photograph.path)
    if regions.exists():
        labels = np.asarray(_open(regions, "L"))
        if labels.shape != (image.height, image.width):
            raise InputError(f"{regions}: its size differs from that of {photograph.path.name}")
        found += outlines.region_outlines(labels)
    return found


def _assemble(photos: np.ndarray, objects: list[CutOut]) -> PhotoBank:
    columns = [np.array(column) for column in zip(*objects, strict=True)]
    cutouts, extent, category, photo, place, inside = columns
    return PhotoBank(
        photos=jnp.asarray(photos),
        cutouts=jnp.asarray(cutouts),
        extent=jnp.asarray(extent, jnp.float32),
        category=jnp.asarray(category, jnp.int32),
        photo=jnp.asarray(photo, jnp.int32),
        place=jnp.asarray(place, jnp.float32),
        inside=jnp.asarray(inside),
    )
