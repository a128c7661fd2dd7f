"""Decoding by ffmpeg: every frame that a source holds, each once, as it is shown, with its time."""

import contextlib
import queue
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from basics.errors import InputError

Image = UInt8[np.ndarray, "height width 3"]

_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+\.\d+)")
_VIDEO = re.compile(r"Stream #0:.*Video: (\w+)")
_RATE = re.compile(r"([\d.]+)(k?) (?:fps|tbr)")
_TIME = re.compile(r"\] n: *\d+ pts:.*pts_time:(\S+)")
_LEVEL = re.compile(r"^(?:\[[^]]* @ \w+\] )*\[(\w+)\] (.*)")


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
        filters = [f"select=gte(n\\,{start})"] if start else []
        # The times are told before they are made equal, so that the output has no say in them.
        filters += ["showinfo=checksum=0", "settb=1", "setpts=N*1000"]
        count = [] if stop is None else ["-frames:v", str(stop - start)]
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "level+info", *source,
            "-map", "0:V:0", "-vf", ",".join(filters), *count,
            "-fps_mode", "passthrough", "-c:v", "ppm", "-pix_fmt", "rgb24",
            "-f", "image2pipe", "-",
        ]  # fmt: skip
        # A process group of its own: Ctrl-C is for us, who then end it.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._times: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __iter__(self) -> Iterator[tuple[float | None, Image]]:
        """Yields the time in seconds, None where the file gives none, and the picture."""
        while (frame := self._read()) is not None:
            yield self._times.get(), frame  # ffmpeg tells a frame's time before it is encoded

    def close(self) -> None:
        """Ends ffmpeg, if it still runs."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def finish(self) -> bool:
        """Waits for the end, after the last frame; whether ffmpeg had nothing to complain about."""
        self._listener.join()
        return self._process.wait() == 0 and not self.errors

    def _read(self) -> Image | None:
        pipe = self._process.stdout
        assert pipe is not None
        if pipe.readline() != b"P6\n":
            return None
        width, height = map(int, pipe.readline().split())
        pipe.readline()  # the largest value, 255
        frame = np.empty((height, width, 3), np.uint8)
        read = pipe.readinto(frame.data.cast("B"))  # type: ignore[attr-defined]
        return frame if read == frame.size else None

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            match = _LEVEL.match(line.decode(errors="replace").rstrip())
            if match and match[1] in ("error", "fatal"):
                self.errors.append(match[2])
            elif match:
                self._note(match[0])
        self._times.put(None)  # nobody waits for ever, whatever ffmpeg left out

    def _note(self, line: str) -> None:
        if time := _TIME.search(line):
            seconds = time[1]
            self._times.put(None if seconds == "NOPTS" else float(seconds))
        elif (duration := _DURATION.search(line)) and not self.codec:
            hours, minutes, seconds = duration.groups()
            self.duration = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        elif (video := _VIDEO.search(line)) and not self.codec and "(attached pic)" not in line:
            self.codec = video[1]
            if rate := _RATE.search(line):
                self.fps = float(rate[1]) * (1000 if rate[2] else 1)


@contextlib.contextmanager
def decoding(source: Sequence[str], start: int = 0, stop: int | None = None) -> Iterator[Decoder]:
    """A `Decoder` that is closed at the end of a `with`."""
    decoder = Decoder(source, start, stop)
    try:
        yield decoder
    finally:
        decoder.close()
