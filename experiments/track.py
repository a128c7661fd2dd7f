"""Tracks one target in a video of your own.

Give the box of the target in the first frame as x,y,width,height in pixels, where x,y is the upper
left corner, counted from 0.

Examples:
    python -m experiments.track --video=dog.mp4 --box=120,80,60,90 --output=tracked.mp4
    python -m experiments.track --video=frames/ --box=120,80,60,90 --output=results/

The video is a file (anything ffmpeg reads) or a folder of images, taken in the natural order of
their names. Writes the boxes (x,y,w,h, a line a frame, the given box first) and a video in which
each box is drawn with its score:
    --output=NAME.mp4 or NAME.gif     that video, and NAME.txt beside it
    --output=FOLDER                   FOLDER/boxes.txt and FOLDER/video.mp4
"""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags
from tqdm import tqdm

from basics.errors import InputError
from basics.files import write_atomic
from experiments.analysis.evaluation_folder import format_rows
from experiments.command_line import cli, tracker_flags
from experiments.pictures.drawing import draw_box
from tracking_tasks.boxes import validate_box
from tracking_tasks.data.videos import Video, read_video, write_video
from tracking_tasks.evaluation.tracks import Tracker

FLAGS = flags.FlagValues()
_VIDEO = flags.DEFINE_string(
    "video", None, "A video file or a folder of images.", required=True, flag_values=FLAGS
)
_BOX = flags.DEFINE_string(
    "box",
    None,
    "The target in the first frame: x,y,w,h.",
    required=True,
    flag_values=FLAGS,
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "An .mp4 or .gif file, or a folder.", required=True, flag_values=FLAGS
)
_TRACKER = tracker_flags.LoadedTracker(FLAGS)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    video = read_video(_VIDEO.value)
    box = validate_box(_BOX.value.split(","), next(iter(video)).shape)
    video_path, boxes_path = output_paths(pathlib.Path(_OUTPUT.value), video.path)
    tracker = _TRACKER.load()
    boxes: list[np.ndarray] = []
    write_video(video_path, track(tracker, video, box, boxes), video.fps)
    write_atomic(boxes_path, format_rows(np.stack(boxes)))
    print(f"wrote {video_path} and {boxes_path}")


def output_paths(output: pathlib.Path, source: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns where the video and the boxes go.

    Raises:
        InputError: The output is a file of another kind, lies where it cannot be made, or would
            overwrite the source.
    """
    if output.suffix.lower() in (".mp4", ".gif") and not output.is_dir():
        paths = output, output.with_suffix(".txt")
    elif output.suffix and not output.is_dir():
        raise InputError(f"{output} must end in .mp4 or .gif, or be a folder")
    else:
        paths = output / "video.mp4", output / "boxes.txt"
    cli.require_folder(paths[0].parent)
    if paths[0].exists() and paths[0].samefile(source):
        raise InputError(f"{paths[0]} is the video itself: give another --output")
    return paths


def track(
    tracker: Tracker, video: Video, box: np.ndarray, boxes: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yields each frame with its box drawn on it, and appends the box to `boxes`."""
    with tqdm(video, total=video.length, unit="frame") as frames:
        for index, frame in enumerate(frames):
            if index == 0:
                tracker.init(frame, box)
                boxes.append(box)
                yield draw_box(frame, box)
            else:
                prediction = tracker.update(frame)
                boxes.append(np.asarray(prediction.box))
                yield draw_box(frame, boxes[-1], np.asarray(prediction.score).item())


if __name__ == "__main__":
    cli.run(main, FLAGS)
