"""Decoding by ffmpeg: every frame that a source holds, each once, as it is shown, with its time."""

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import IO

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from basics.errors import InputError

Image = UInt8[np.ndarray, "height width 3"]

_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+\.\d+)")
_VIDEO = re.compile(r"Stream #0:.*Video: (\w+)")
_RATE = re.compile(r"([\d.]+)(k?) (?:fps|tbr)")
_TIME = re.compile(rb"frame:\d+ +pts:(-?\d+)")
_ERROR = re.compile(r"^(?:\[[^]]* @ \w+\] )*\[(?:error|fatal|panic)\] (.*)")


class DamagedVideoError(InputError):
    """A video breaks off, or parts of it cannot be decoded; what could be was yielded before."""


class Decoder:
    """One run of ffmpeg over a source. Iterate once, then `close`.

    Frames come out by their own time stamps (`-fps_mode passthrough`): none is repeated or dropped
    to keep a rate, as ffmpeg would by default. Each carries its size (PPM), turned as the file
    says.

    Args:
        source: ffmpeg's arguments that name the input, up to and with `-i`.
        start: the first frame wanted, counted from 0.
        stop: the frame after the last one wanted.

    Attributes:
        codec: of the video stream; "" until the first frame, like the following.
        fps: its average frames per second; 0 if it does not say.
        duration: of the whole file in seconds; 0 if it does not say.
        errors: what ffmpeg complained about so far.
    """

    def __init__(self, source: Sequence[str], start: int = 0, stop: int | None = None) -> None:
        self.codec, self.fps, self.duration = "", 0.0, 0.0
        self.errors: list[str] = []
        # What ffmpeg's threads say at once runs into one another, so each thing has a pipe of its
        # own: pictures, errors, the report, which describes the input, and the times.
        self._report, report = _pipe()
        self._times, times = _pipe()
        try:
            # A process group of its own: Ctrl-C is for us, who then end it.
            self._process = subprocess.Popen(
                _command(source, start, stop, times.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                pass_fds=(report.fileno(), times.fileno()),
                env=os.environ | {"FFREPORT": f"file=/dev/fd/{report.fileno()}:level=32"},
            )
        finally:
            report.close()
            times.close()
        assert self._process.stdout is not None and self._process.stderr is not None
        self._pictures, self._complaints = self._process.stdout, self._process.stderr
        self._described = threading.Event()
        self._listeners = [
            threading.Thread(target=listen, daemon=True)
            for listen in (self._listen_to_report, self._listen_to_complaints)
        ]
        for listener in self._listeners:
            listener.start()

    def __iter__(self) -> Iterator[tuple[float | None, Image]]:
        """Yields the time in seconds, None where the file gives none, and the picture."""
        while (frame := self._read()) is not None:
            self._described.wait()
            # ffmpeg tells a frame's time before it is encoded, in two lines.
            time = _TIME.match(self._times.readline())
            self._times.readline()
            yield int(time[1]) / 1e6 if time else None, frame

    def close(self) -> None:
        """Ends ffmpeg, if it still runs."""
        self._process.kill()
        self._process.wait()
        self._join()
        for pipe in (self._pictures, self._complaints, self._report, self._times):
            pipe.close()

    def finish(self) -> bool:
        """Waits for the end, after the last frame; whether ffmpeg had nothing to complain about."""
        self._join()
        return self._process.wait() == 0 and not self.errors

    def _read(self) -> Image | None:
        pipe = self._pictures
        if pipe.readline() != b"P6\n":
            return None
        width, height = map(int, pipe.readline().split())
        pipe.readline()  # the largest value, 255
        frame = np.empty((height, width, 3), np.uint8)
        read = pipe.readinto(frame.data.cast("B"))  # type: ignore[attr-defined]
        return frame if read == frame.size else None

    def _join(self) -> None:
        for listener in self._listeners:
            listener.join()

    def _listen_to_complaints(self) -> None:
        for line in self._complaints:
            if error := _ERROR.match(_text(line)):
                self.errors.append(error[1])

    def _listen_to_report(self) -> None:
        for line in self._report:
            if not self._described.is_set():
                self._describe(_text(line))
        self._described.set()  # nobody waits for ever, whatever ffmpeg left out

    def _describe(self, line: str) -> None:
        if duration := _DURATION.search(line):
            hours, minutes, seconds = duration.groups()
            self.duration = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        elif (video := _VIDEO.search(line)) and "(attached pic)" not in line:
            self.codec = video[1]
            if rate := _RATE.search(line):
                self.fps = float(rate[1]) * (1000 if rate[2] else 1)
            self._described.set()


def _command(source: Sequence[str], start: int, stop: int | None, times: int) -> list[str]:
    """Of ffmpeg, to write pictures to its output and their times to the file numbered `times`."""
    filters = [
        *([f"select=gte(n\\,{start})"] if start else []),
        # The times, in microseconds, are told before they are made equal, so that the output has no
        # say in them; and only of frames that carry some entry.
        "settb=AVTB",
        "metadata=add:key=told:value=1",
        f"metadata=print:key=told:file=pipe\\\\:{times}:direct=1",
        "settb=1",
        "setpts=N*1000",
    ]
    count = [] if stop is None else ["-frames:v", str(stop - start)]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-nostats", "-loglevel", "level+error",
        *source, "-map", "0:V:0", "-vf", ",".join(filters), *count,
        "-fps_mode", "passthrough", "-c:v", "ppm", "-pix_fmt", "rgb24", "-f", "image2pipe", "-",
    ]  # fmt: skip


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return open(read, "rb"), open(write, "wb")


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip()


@contextlib.contextmanager
def decoding(source: Sequence[str], start: int = 0, stop: int | None = None) -> Iterator[Decoder]:
    """A `Decoder` that is closed at the end of a `with`."""
    decoder = Decoder(source, start, stop)
    try:
        yield decoder
    finally:
        decoder.close()
