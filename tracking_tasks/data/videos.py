"""A user's own videos: files that ffmpeg reads, or folders of images; frames come one at a time."""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import tempfile
from collections.abc import Generator, Iterable, Iterator

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data.sequences import list_images, read_image

# Without this, imageio-ffmpeg runs Python code between fork and exec, which may hang a process that
# has threads, as JAX has.
os.environ.setdefault("IMAGEIO_FFMPEG_NO_PREVENT_SIGINT", "1")

FOLDER_FPS = 25.0  # a folder of images does not say at what rate it was filmed

Frame = UInt8[np.ndarray, "height width 3"]


@dataclasses.dataclass(frozen=True)
class Video:
    """A video on disk. Iterating decodes it from the start, frame by frame: uint8 (H, W, 3) RGB.

    Attributes:
        path: A video file or a folder of images.
        fps: Frames per second.
        length: Number of frames; of a video file an estimate from its duration, None if unknown.
    """

    path: pathlib.Path
    fps: float | int
    length: int | None

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames; raises InputError at one that cannot be read."""
        return _folder_frames(self.path) if self.path.is_dir() else _file_frames(self.path)


def read_video(path: str | os.PathLike[str]) -> Video:
    """Opens a video file, or a folder of images in the natural order of their names.

    Raises:
        InputError: The path is missing, is not a video, or holds no frame.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: give a video file or a folder of images")
    if path.is_dir():
        images = list_images(path)
        if not images:
            raise InputError(f"{path} holds no images: give a video file or a folder of images")
        return Video(path, FOLDER_FPS, len(images))
    with contextlib.closing(_decode(path)) as frames:
        metadata = next(frames)
        if next(frames, None) is None:
            raise InputError(f"{path} holds no frame: give another video")
    if metadata["codec"].startswith("ansi"):  # ffmpeg renders text files as terminal screens
        raise InputError(f"{path} is a text file: give a video file")
    fps = metadata["fps"] or FOLDER_FPS
    return Video(path, fps, round(metadata["duration"] * fps) or None)


def write_video(path: str | os.PathLike[str], frames: Iterable[Frame], fps: float | int) -> None:
    """Writes frames of one size as an .mp4 (H.264) or an endless .gif, in one step.

    The file appears under its name only when it is complete. An .mp4 repeats the last row or column
    of frames with odd sides, which the codec cannot store.

    Raises:
        InputError: The suffix is neither, or there are no frames.
    """
    path = pathlib.Path(path)
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    if path.suffix.lower() not in writers:
        raise InputError(f"{path} must end in one of: {', '.join(writers)}")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise InputError(f"{path} cannot be written: there are no frames")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        temporary = pathlib.Path(folder) / path.name
        writers[path.suffix.lower()](temporary, first, frames, fps)
        os.replace(temporary, path)


def _folder_frames(folder: pathlib.Path) -> Iterator[Frame]:
    shape = None
    for path in list_images(folder):
        frame = read_image(path)
        if shape not in (None, frame.shape):
            raise InputError(f"{path} differs in size from the images before it: resize or move it")
        shape = frame.shape
        yield frame


def _file_frames(path: pathlib.Path) -> Iterator[Frame]:
    with contextlib.closing(_decode(path)) as frames:
        width, height = next(frames)["size"]
        for data in frames:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _decode(path: pathlib.Path) -> Generator:
    """Yields what ffmpeg finds: first a dictionary of metadata, then the bytes of each frame."""
    try:
        yield from imageio_ffmpeg.read_frames(str(path))
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable video: give a video file") from error


def _write_mp4(path: pathlib.Path, first: Frame, rest: Iterator[Frame], fps: float | int) -> None:
    height, width = first.shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    writer = imageio_ffmpeg.write_frames(
        str(path), (width + width % 2, height + height % 2), fps=fps, quality=8, macro_block_size=2
    )
    writer.send(None)
    with contextlib.closing(writer):
        for frame in itertools.chain([first], rest):
            writer.send(np.ascontiguousarray(np.pad(frame, padding, mode="edge")))


def _write_gif(path: pathlib.Path, first: Frame, rest: Iterator[Frame], fps: float | int) -> None:
    def paletted(frame: Frame) -> Image.Image:
        # An octree without dithering: 20 times faster than the default, and a smaller file.
        return Image.fromarray(frame).quantize(
            method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )

    images = map(paletted, rest)
    paletted(first).save(path, save_all=True, append_images=images, duration=1000 / fps, loop=0)
