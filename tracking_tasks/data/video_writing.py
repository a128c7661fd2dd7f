"""Videos to look at: .mp4 and .gif files that appear when they are whole."""

import contextlib
import fractions
import itertools
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Iterable, Iterator

import imageio_ffmpeg
import numpy as np
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data.decoding import Image as Frame

_QUALITY = "10"  # H.264's constant rate factor: hard to tell from the source


def write_video(path: str | os.PathLike[str], frames: Iterable[Frame], fps: float | int) -> None:
    """Writes frames of one size as an .mp4 (H.264) or an endless .gif, in one step.

    The file appears under its name only when it is complete. An .mp4 repeats the last row or column
    of frames with odd sides, which the codec cannot store.

    Raises:
        InputError: the suffix is neither, or there are no frames.
        OSError: the file cannot be written.
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
        temporary = pathlib.Path(folder) / f"video{path.suffix.lower()}"
        try:
            writers[path.suffix.lower()](temporary, first, frames, fps)
        except _EncoderError as error:
            raise OSError(f"{path} could not be written: {error}") from None
        os.replace(temporary, path)


class _EncoderError(Exception):
    """ffmpeg failed; says why."""


def _write_mp4(path: pathlib.Path, first: Frame, rest: Iterator[Frame], fps: float | int) -> None:
    height, width = first.shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    rate = fractions.Fraction(fps).limit_denominator(100_000)
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-f", "rawvideo",
        "-pix_fmt", "rgb24", "-s", f"{width + width % 2}x{height + height % 2}", "-r", str(rate),
        "-i", "-", "-c:v", "libx264", "-crf", _QUALITY, "-pix_fmt", "yuv420p",
        "-movflags", "+faststart", f"file:{path}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as complaints:
        # A process group of its own: Ctrl-C is for us, who then end it.
        encoder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=complaints, process_group=0
        )
        assert encoder.stdin is not None
        try:
            for frame in itertools.chain([first], rest):
                encoder.stdin.write(np.pad(frame, padding, mode="edge").tobytes())
            encoder.stdin.close()
        except BrokenPipeError:  # it has ended before; its status says so
            pass
        except BaseException:
            encoder.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                encoder.stdin.close()
            status = encoder.wait()
        if status:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            raise _EncoderError(lines[-1] if lines else f"ffmpeg ended with status {status}")


def _write_gif(path: pathlib.Path, first: Frame, rest: Iterator[Frame], fps: float | int) -> None:
    def paletted(frame: Frame) -> Image.Image:
        # An octree without dithering: 20 times faster than the default, and a smaller file.
        return Image.fromarray(frame).quantize(
            method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )

    images = map(paletted, rest)
    paletted(first).save(path, save_all=True, append_images=images, duration=1000 / fps, loop=0)
