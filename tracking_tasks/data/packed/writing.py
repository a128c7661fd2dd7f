"""Packing sequences of any format: a TFDS builder that works without TensorFlow."""

import contextlib
import functools
import io
import itertools
import json
import math
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grain
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, UInt8
from PIL import ExifTags, Image
from tqdm import tqdm

from basics.errors import InputError
from basics.files import require_regular
from basics.images import open_image
from tracking_tasks.data import sequences
from tracking_tasks.data.packed import layout

_SHARD_BYTES = 256 * 2**20  # TFDS holds the shard that it writes in memory
_JPEG_QUALITY = 95
_KEPT_MODES = ("RGB", "L")
_AHEAD = grain.ReadOptions(num_threads=os.cpu_count() or 1, prefetch_buffer_size=64)

_Frame = pathlib.Path | UInt8[np.ndarray, "height width 3"]
_Examples = Callable[[], Iterator[tuple[int, dict[str, Any]]]]


class _Builder(tfds.core.ShardBasedBuilder):
    """Writes examples in the order given; TFDS's other builder shuffles them by TensorFlow."""

    VERSION = tfds.core.Version(layout.VERSION)

    def __init__(self, folder: pathlib.Path, name: str, shards: Sequence[_Examples]) -> None:
        self.name = name
        self._shards = shards
        super().__init__(data_dir=folder, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(builder=self, features=layout.features(self.name))

    def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, Sequence[_Examples]]:
        return {layout.SPLIT: self._shards}


def require_new(folder: str | os.PathLike[str]) -> None:
    """Raises InputError if there is something where a packed folder shall be."""
    if pathlib.Path(folder).exists():
        raise InputError(f"{folder} exists already: remove it or give another folder to pack into")


def pack(
    videos: Iterable[sequences.Sequence],
    folder: str | os.PathLike[str],
    *,
    name: str,
    longest_side: int | None = None,
) -> None:
    """Packs sequences into a new folder, which is there whole or not at all.

    The targets of one video share its frames. A JPEG file that is small enough is kept byte for
    byte; any other image becomes JPEG of quality 95. Every image is decoded once, so that training
    meets no damaged one. A sequence whose target is never seen is left out.

    Args:
        videos: the sequences.
        folder: must not exist; its parents are made. A killed run leaves `.<folder>.partial`
            beside it, which the next run replaces.
        name: of the data set, for reports.
        longest_side: larger images are shrunk to this longer side, in pixels, and their boxes with
            them; None keeps every size.

    Raises:
        InputError: the folder exists, no target is ever seen, or a frame is no readable image.
    """
    require_new(folder)
    folder = pathlib.Path(folder).absolute()
    shown = [(video, visible) for video in videos if (visible := _visible(video)).any()]
    if not shown:
        raise InputError(f"{name} has no sequence with a visible target: there is nothing to pack")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        frames, starts = _line_up([video for video, _ in shown])
        scales = _write_frames(partial, frames, longest_side)
        _write_sequences(partial, shown, starts, scales)
        counts = {"name": name, "sequences": len(shown), "frames": len(frames)}
        manifest = counts | {"longest_side": longest_side} | layout.inventory(partial)
        (partial / layout.MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _visible(video: sequences.Sequence) -> Float[np.ndarray, " frames"]:
    """The share of the target that can be seen, 0 where it is absent or not annotated."""
    seen = video.annotated & np.isfinite(video.boxes).all(axis=1)
    if video.absent is not None:
        seen &= ~video.absent
    share = 1.0 if video.visible is None else np.nan_to_num(video.visible)
    return np.where(seen, share, 0.0).astype(np.float32)


def _line_up(videos: Sequence[sequences.Sequence]) -> tuple[list[_Frame], list[int]]:
    """All frames in one row, and where in it each sequence starts."""
    frames: list[_Frame] = []
    starts: list[int] = []
    known: dict[tuple[Any, ...], int] = {}
    for video in videos:
        key = tuple(
            frame if isinstance(frame, pathlib.Path) else id(frame) for frame in video.frames
        )
        starts.append(known.setdefault(key, len(frames)))
        if starts[-1] == len(frames):
            frames.extend(video.frames)
    return frames, starts


def _write_frames(
    folder: pathlib.Path, frames: Sequence[_Frame], longest_side: int | None
) -> Float[np.ndarray, " all_frames"]:
    """Writes `frames/` and returns by which factor each image was shrunk."""
    scales = np.ones(len(frames), np.float32)
    encode = functools.partial(_encode, longest_side=longest_side)

    def examples(start: int, stop: int) -> Iterator[tuple[int, dict[str, Any]]]:
        encoded = grain.MapDataset.source(frames[start:stop]).map(encode).to_iter_dataset(_AHEAD)
        for index, (image, scales[index]) in enumerate(encoded, start):
            bar.update()
            yield index, {"image": image}

    size = sum(
        item.stat().st_size if isinstance(item, pathlib.Path) else item.nbytes for item in frames
    )
    count = min(math.ceil(size / _SHARD_BYTES), len(frames))
    edges = np.linspace(0, len(frames), count + 1).astype(int).tolist()
    shards = [functools.partial(examples, *edge) for edge in itertools.pairwise(edges)]
    with tqdm(total=len(frames), desc="frames", delay=5) as bar:
        _prepare(_Builder(folder, "frames", shards))
    return scales


def _write_sequences(
    folder: pathlib.Path,
    shown: Sequence[tuple[sequences.Sequence, Float[np.ndarray, " _"]]],
    starts: Sequence[int],
    scales: Float[np.ndarray, " all_frames"],
) -> None:
    """Writes `sequences/`."""

    def examples() -> Iterator[tuple[int, dict[str, Any]]]:
        for index, ((video, visible), start) in enumerate(zip(shown, starts, strict=True)):
            scale = scales[start : start + len(video), None]
            boxes = np.where(visible[:, None] > 0, video.boxes * scale, 0.0).astype(np.float32)
            yield index, {"name": video.name, "first": start, "boxes": boxes, "visible": visible}

    _prepare(_Builder(folder, "sequences", [examples]))


def _prepare(builder: _Builder) -> None:
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints how much it does not download
        builder.download_and_prepare()
    shutil.rmtree(builder.data_dir_root / "downloads")


def _encode(frame: _Frame, longest_side: int | None) -> tuple[bytes, float]:
    """A frame as the bytes of an image file, and by which factor it was shrunk."""
    if isinstance(frame, pathlib.Path):
        require_regular(frame)
        kept = _as_it_is(frame.read_bytes(), longest_side)
        if kept is not None:
            return kept, 1.0
        frame = sequences.read_image(frame)
    image = Image.fromarray(frame)
    scale = min((longest_side or max(image.size)) / max(image.size), 1.0)
    if scale < 1:
        size = [max(round(side * scale), 1) for side in image.size]
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "jpeg", quality=_JPEG_QUALITY)
    return file.getvalue(), scale


def _as_it_is(data: bytes, longest_side: int | None) -> bytes | None:
    """The same bytes, if they are a whole, upright JPEG of a common kind that is small enough."""
    try:
        with open_image(data, formats=("jpeg",)) as image:
            if image.mode not in _KEPT_MODES or max(image.size) > (longest_side or math.inf):
                return None
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                return None
            image.draft(image.mode, (1, 1))  # the smallest decoding that still meets all damage
            image.load()
    except Exception:  # PIL reports damage by many types; the caller says what is wrong
        return None
    return data
