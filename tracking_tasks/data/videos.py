"""A user's own videos: files that ffmpeg reads, folders of images, cameras and streams.

Frames come one at a time, exactly those that the source holds.
"""

import abc
import dataclasses
import itertools
import os
import pathlib
import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from basics.errors import InputError
from tracking_tasks.data import frame_folders
from tracking_tasks.data.decoding import DamagedVideoError, Image, decoding
from tracking_tasks.data.live import camera, newest
from tracking_tasks.data.sequences import read_image
from tracking_tasks.data.video_writing import write_video as write_video

FOLDER_FPS = 25.0  # a folder of images does not say at what rate it was filmed

_CHUNK = 2**28  # bytes of frames that are held to give them out backward
_URL = re.compile(r"(?:rtsps?|rtmps?|https?|udp|tcp|srt)://\S+")


class TimedFrame(NamedTuple):
    """A frame of a video: its number from 0, its time in seconds, and RGB uint8 (H, W, 3)."""

    number: int
    time: float
    pixels: Image


@dataclasses.dataclass(frozen=True)
class Video(abc.ABC):
    """A video. Iterating yields the pictures from the start: uint8 (H, W, 3) RGB, writable.

    Attributes:
        path: a file, a folder, a camera's number or an address.
        fps: frames per second, on average.
        length: number of frames; of a file as it announces it, None if it does not.
    """

    path: pathlib.Path | str
    fps: float
    length: int | None

    def __iter__(self) -> Iterator[Image]:
        """Yields the pictures; warns behind the last one if the video is damaged."""
        try:
            for frame in self.frames():
                yield frame.pixels
        except DamagedVideoError as error:
            warnings.warn(str(error), stacklevel=2)

    @abc.abstractmethod
    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[TimedFrame]:
        """Yields the frames from `start` to before `stop`.

        Raises:
            InputError: a frame cannot be read.
            DamagedVideoError: behind the last frame, that more were announced, or damaged.
        """

    @abc.abstractmethod
    def backward(self, start: int) -> Iterator[TimedFrame]:
        """Yields the frames from `start` down to the first one; raises as `frames`."""


@dataclasses.dataclass(frozen=True)
class Folder(Video):
    """A folder of images.

    Attributes:
        images: the frames in order.
    """

    images: tuple[pathlib.Path, ...]

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[TimedFrame]:
        end = len(self.images)
        return self._read(range(start, end if stop is None else min(stop, end)))

    def backward(self, start: int) -> Iterator[TimedFrame]:
        return self._read(range(min(start, len(self.images) - 1), -1, -1))

    def _read(self, indices: range) -> Iterator[TimedFrame]:
        shape = None
        for index in indices:
            frame = read_image(self.images[index])
            if shape not in (None, frame.shape):
                raise InputError(
                    f"{self.images[index]} differs in size from the images before it: resize or "
                    "move it"
                )
            shape = frame.shape
            yield TimedFrame(index, index / self.fps, frame)


@dataclasses.dataclass(frozen=True)
class File(Video):
    """A file that ffmpeg reads.

    Attributes:
        codec: of its video stream, as ffmpeg names it.
    """

    codec: str

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[TimedFrame]:
        if stop is not None and stop <= start:
            return
        with decoding(_file(self.path, self.codec), start, stop) as decoder:
            index = start
            for time, image in decoder:
                yield TimedFrame(index, index / self.fps if time is None else time, image)
                index += 1
            if not decoder.finish():
                announced = f" of about {self.length} that it announces" if self.length else ""
                reason = decoder.errors[0] if decoder.errors else "ffmpeg failed"
                raise DamagedVideoError(
                    f"{self.path} is cut off or damaged ({reason}): {index} frames{announced} "
                    "could be read; get a whole copy of it"
                )

    def backward(self, start: int) -> Iterator[TimedFrame]:
        """Decodes from the beginning once for every 256 MB of frames."""
        first = next(self.frames(), None)
        stop = start + 1
        while first is not None and stop > 0:
            count = max(1, _CHUNK // first.pixels.nbytes)
            begin = max(0, stop - count)
            yield from reversed(list(self.frames(begin, stop)))
            stop = begin


class Live(Video):
    """A camera or a stream: only the newest frame is given out, however slow its user is.

    The numbers of frames count those that were passed over, too.
    """

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[TimedFrame]:
        return newest(itertools.islice(self._all(), start, stop))

    def backward(self, start: int) -> Iterator[TimedFrame]:
        raise InputError(f"{self.path} cannot be seen backward: record it to a file first")

    def _all(self) -> Iterator[TimedFrame]:
        with decoding(_live(str(self.path))) as decoder:
            for index, (time, image) in enumerate(decoder):
                yield TimedFrame(index, index / self.fps if time is None else time, image)
            if not decoder.finish():
                reason = decoder.errors[-1] if decoder.errors else "no reason given"
                raise DamagedVideoError(f"{self.path} broke off ({reason}): check the connection")


def read_video(path: str | os.PathLike[str]) -> Video:
    """Opens a video.

    Args:
        path: a video file; a folder of images, taken in the natural order of their names, or some
            of them (`folder/*.jpg`); the number of a camera; the address of a stream.

    Raises:
        InputError: the path is missing, is not a video, holds no frame, or holds images of several
            kinds with the same numbers, so that it is not clear which are the frames.
    """
    name, path = str(path), pathlib.Path(path)
    if not path.exists():
        if name.isdecimal() or _URL.fullmatch(name):
            return Live(name, FOLDER_FPS, None)
        if "*" in path.name and path.parent.is_dir():
            return _folder(path.parent, frame_folders.matching(path))
        raise InputError(f"{name} does not exist: give a video file or a folder of images")
    if path.is_dir():
        return _folder(path, frame_folders.frames(path))
    with decoding(_file(path)) as decoder:
        if next(iter(decoder), None) is None:
            raise InputError(f"{path} is not a readable video: give another video file")
    if decoder.codec.startswith("ansi"):  # ffmpeg renders text files as terminal screens
        raise InputError(f"{path} is a text file: give a video file")
    fps = decoder.fps or FOLDER_FPS
    return File(path, fps, round(decoder.duration * fps) or None, decoder.codec)


def _folder(path: pathlib.Path, images: tuple[pathlib.Path, ...]) -> Folder:
    return Folder(path, FOLDER_FPS, len(images), images)


def _file(path: pathlib.Path | str, codec: str = "") -> list[str]:
    # ffmpeg's threads race in this decoder: about one reading in ten has wrong frames, unsaid.
    threads = ["-threads", "1"] if codec in ("theora", "vp3") else []
    # An absolute path behind its protocol: neither `12:30.mp4` nor `-x.mp4` is taken for another.
    return [*threads, "-i", f"file:{pathlib.Path(path).absolute()}"]


def _live(name: str) -> list[str]:
    if name.isdecimal():
        return camera(int(name))
    return [*(["-rtsp_transport", "tcp"] if name.startswith("rtsp") else []), "-i", name]
