r"""Tracks targets in a video of your own.

Give the box of the target in the first frame as x,y,width,height in pixels, where x,y is the upper
left corner, counted from 0; or --select, and draw it in a browser.

Examples:
    python -m experiments.track --video=dog.mp4 --box=120,80,60,90 --output=tracked.mp4
    python -m experiments.track --video=experiments/demo/sample.mp4 --box=61,113,44,53 \
        --output=tracked.mp4
    python -m experiments.track --video=frames/ --select --output=results/
    python -m experiments.track --video=cars.mp4 --box=10,20,60,40 --box=200,25,50,40 --output=cars
    python -m experiments.track --video=dog.mp4 --start_frame=200 --box=120,80,60,90 --backward \
        --correct=150:90,70,60,80 --output=earlier.mp4

The video is a file (anything ffmpeg reads), a folder of images in the natural order of their names,
some of them ('frames/*.jpg'), a camera (--video=0) or a stream (rtsp://...), of which the newest
frame is taken when tracking is slower. Writes, to the folder --output or beside NAME.mp4:
    tracks.csv, NAME.csv      frame, time, target, x, y, width, height, score, present: a row a
                              target and frame, while it tracks
    tracks.json, NAME.json    the same, and what ran
    boxes.txt, NAME.txt       x,y,w,h, a line a frame, the given box first; of a single target
    video.mp4, NAME.mp4       the boxes drawn with their scores; also NAME.gif
    mot.txt, cvat.xml         with --forms=mot,cvat: MOTChallenge's form, CVAT for video 1.1
Times are the frames' own, in seconds. Where `present` is false, the target is lost, hidden or away.

Ends with status 0; 1 if the input cannot be used, 2 if a flag is wrong; 3 if the video breaks off
or is damaged: then what could be read was tracked; 130 after Ctrl-C, which keeps the rows so far.
"""

import contextlib
import itertools
import pathlib
import sys
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from basics.errors import InputError
from experiments.command_line import cli, tracker_flags
from experiments.command_line.output_folder import claim_beside
from experiments.demo.selection import select_box
from experiments.pictures.drawing import ABSENT, COLORS, draw_box
from experiments.tracks import results, starts
from experiments.tracks.following import Row, follow
from experiments.tracks.outputs import Outputs
from tracking_tasks.data.videos import TimedFrame, Video, read_video, write_video

FLAGS = flags.FlagValues()
_VIDEO = flags.DEFINE_string(
    "video",
    None,
    "A video file, a folder of images, a camera's number, or the address of a stream.",
    required=True,
    flag_values=FLAGS,
)
_BOX = flags.DEFINE_multi_string(
    "box",
    [],
    "The target in the first frame: x,y,w,h. Once for each of several targets.",
    flag_values=FLAGS,
)
_SELECT = flags.DEFINE_bool(
    "select",
    False,
    "Draw the target's box in the first frame, on a page that opens in a browser.",
    flag_values=FLAGS,
)
_BOXES = flags.DEFINE_string(
    "boxes",
    None,
    "A file with the boxes of targets: a line x,y,w,h each, or columns with a header (frame, "
    "target, x, y, width, height), which may start and correct targets in later frames.",
    flag_values=FLAGS,
)
_CORRECT = flags.DEFINE_multi_string(
    "correct",
    [],
    "Puts a target right in a later frame: FRAME:x,y,w,h, or FRAME:TARGET:x,y,w,h of the TARGETth.",
    flag_values=FLAGS,
)
_START_FRAME = flags.DEFINE_integer(
    "start_frame", 0, "The frame that the boxes are in, counted from 0.", 0, flag_values=FLAGS
)
_END_FRAME = flags.DEFINE_integer(
    "end_frame", None, "The frame to end with; by default the last one.", 0, flag_values=FLAGS
)
_BACKWARD = flags.DEFINE_bool(
    "backward", False, "Track from the start frame to the video's first.", flag_values=FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "An .mp4 or .gif file, or a folder.", required=True, flag_values=FLAGS
)
_FORMS = flags.DEFINE_list(
    "forms", [], "Forms of other tools to write too: mot, cvat.", flag_values=FLAGS
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace results that are there already.", flag_values=FLAGS
)
_TRACKER = tracker_flags.LoadedTracker(FLAGS)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    try:
        _track()
    except KeyboardInterrupt:
        print("stopped before the first frame was tracked: nothing was written", file=sys.stderr)
        sys.exit(130)


def _track() -> None:
    if unknown := set(_FORMS.value) - results.FORMS.keys():
        known = ", ".join(results.FORMS)
        raise InputError(f"--forms={sorted(unknown)[0]} is unknown: known forms are {known}")
    outputs = Outputs.at(pathlib.Path(_OUTPUT.value), _FORMS.value)
    video = read_video(_VIDEO.value)
    claim_beside(outputs.video)
    outputs.require_free(video.path, _OVERWRITE.value)
    with contextlib.closing(_frames(video)) as frames:
        first = next(frames, None)
        if first is None:
            raise InputError(f"{video.path} has no frame {_START_FRAME.value}: it is shorter")
        chosen = [select_box(first.pixels)] if _SELECT.value else []
        given = starts.by_frame(_starts(chosen), first.pixels.shape)
        if first.number not in given:
            raise InputError(f"no box is in frame {first.number}: give --box=x,y,w,h, or --select")
        tracker = _TRACKER.load()
        run = Run(outputs, video, {"video": str(video.path), **_TRACKER.metadata(tracker)})
        run.track(tracker, itertools.chain([first], frames), given)
    run.end()


class Run:
    """Tracks, and writes what was found as far as it went.

    Attributes:
        rows: all so far.
        failure: why the video ended early; "" if it did not.
    """

    def __init__(self, outputs: Outputs, video: Video, heading: dict[str, Any]) -> None:
        self.rows: list[Row] = []
        self.failure = ""
        self._outputs, self._video, self._heading = outputs, video, heading
        self._interrupted = False
        self._unused: set[int] = set()

    def track(
        self, tracker: Any, frames: Iterator[TimedFrame], given: dict[int, dict[str, np.ndarray]]
    ) -> None:
        """Writes the tables frame by frame, and the video when it is whole.

        Raises:
            InputError: the first frame cannot be tracked in.
        """
        followed = follow(tracker, frames, given)
        first = next(followed)
        with results.Tables(self._outputs.csv, self._outputs.json, **self._heading) as tables:
            try:
                drawn = self._drawn(itertools.chain([first], followed), tables)
                write_video(self._outputs.video, drawn, self._video.fps)
            except KeyboardInterrupt:
                self._interrupted = True
            finally:
                self._write_whole()
        self._unused = given.keys() - {row.frame for row in self.rows}

    def end(self) -> None:
        """Says what was written, and exits with a status of its own if the video ended early."""
        kept = self._outputs.csv
        for number in sorted(self._unused):
            print(f"note: frame {number} was not tracked in, so its boxes were not used")
        if undone := sum(row.undone for row in self.rows):
            print(f"note: {undone} updates were not finite and were undone: the rule diverges here")
        if self._interrupted:
            print(f"stopped: {kept} holds what was tracked; {self._go_on()}", file=sys.stderr)
            sys.exit(130)
        if self.failure:
            print(f"error: {self.failure}; {kept} holds what was tracked", file=sys.stderr)
            sys.exit(3)
        print(f"wrote {self._outputs.video} and {kept}")

    def _drawn(
        self, followed: Iterator[tuple[TimedFrame, list[Row]]], tables: results.Tables
    ) -> Iterator[np.ndarray]:
        with tqdm(total=_length(self._video), unit="frame") as bar:
            try:
                for frame, rows in followed:
                    tables.add(rows)
                    self.rows += rows
                    bar.update()
                    yield _draw(frame, rows)
            except InputError as error:
                self.failure = str(error)

    def _write_whole(self) -> None:
        if len({row.target for row in self.rows}) == 1:
            results.write_boxes(self._outputs.boxes, self.rows)
        for name, path in self._outputs.forms.items():
            results.FORMS[name](path, self.rows)

    def _go_on(self) -> str:
        last = self.rows[-1].frame
        boxes = " ".join(
            f"--box={','.join(f'{value:.1f}' for value in row.box)}"
            for row in self.rows
            if row.frame == last and np.isfinite(row.box).all()
        )
        return f"go on with --start_frame={last} {boxes} and another --output"


def _starts(chosen: list[str]) -> list[starts.Start]:
    frame = _START_FRAME.value
    given = starts.from_flags([*chosen, *_BOX.value], _CORRECT.value, frame)
    if _BOXES.value:
        given += starts.from_file(pathlib.Path(_BOXES.value), frame)
    return given


def _frames(video: Video) -> Generator[TimedFrame]:
    start, end = _START_FRAME.value, _END_FRAME.value
    if not _BACKWARD.value:
        yield from video.frames(start, None if end is None else end + 1)
        return
    yield from itertools.takewhile(lambda frame: frame.number >= (end or 0), video.backward(start))


def _length(video: Video) -> int | None:
    """The number of frames to track, as far as it is known."""
    start, end = _START_FRAME.value, _END_FRAME.value
    if _BACKWARD.value:
        return start - (end or 0) + 1
    last = [length for length in (video.length, None if end is None else end + 1) if length]
    return min(last) - start if last else None


def _draw(frame: TimedFrame, rows: Sequence[Row]) -> np.ndarray:
    image = frame.pixels
    for color, row in zip(itertools.cycle(COLORS), rows, strict=False):
        score = None if row.given else row.score
        image = draw_box(image, row.box, score, color if row.present else ABSENT)
    return image


if __name__ == "__main__":
    cli.run(main, FLAGS)
