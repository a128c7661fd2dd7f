r"""Writes rendered videos, to look at or to track in.

They are what trackers are meta-trained on: pseudo-videos made from photographs, in which the target
either stays in its own photograph under a moving camera or is cut out and moves over another one,
among look-alikes and occluders. The same seed gives the same videos.

Examples:
    python -m experiments.render --output_dir=runs/rendered
    python -m experiments.render --output_dir=runs/rendered --photos_dir=PHOTOS --split=test \
        --layout=otb --videos=100 --frames=100
    python -m experiments.evaluate --dataset_dir=runs/rendered/sequences --output_dir=results

Writes to the output folder:
    contact_sheet.png         a few frames of the first videos; below each its number, the share of
                              the target that is visible, and the attributes that hold
    attributes.txt            the share of the frames with each attribute, which is printed too
    annotations.csv           box, visible share and attributes of every frame
    videos/<name>.mp4         the videos, annotated in the same way
    sequences/                the same in the layout of OTB; frames without a visible target have a
                              box of zeros, which counts as not annotated

The attributes are those of the Object Tracking Benchmark: illumination variation (IV), scale
variation (SV), occlusion (OCC), deformation (DEF), motion blur (MB), fast motion (FM), in-plane and
out-of-plane rotation (IPR, OPR), out of view (OV), background clutter (BC), low resolution (LR).
"""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np
from absl import flags
from tqdm import tqdm

from basics.errors import InputError
from basics.files import write_atomic
from experiments.command_line import cli, shared_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.pictures.contact_sheet import annotate, write_sheet
from tracking_tasks.data.formats import otb
from tracking_tasks.data.photos import SPLITS, load_bank
from tracking_tasks.data.rendered import rendered_videos, to_sequence
from tracking_tasks.data.renderer import ATTRIBUTES, RendererConfig, Video
from tracking_tasks.data.videos import write_video

_FPS = 25
_ROWS = 12  # videos on the contact sheet
_BLOCK = 8  # frames are made of whole compression blocks

FLAGS = flags.FlagValues()
_OUTPUT = OutputFolder(FLAGS)
_VIDEOS = flags.DEFINE_integer("videos", 8, "Number of videos.", 1, flag_values=FLAGS)
_FRAMES = flags.DEFINE_integer("frames", 60, "Frames of each video.", 2, flag_values=FLAGS)
_SIDE = flags.DEFINE_integer(
    "side", RendererConfig().side, f"Pixels, a multiple of {_BLOCK}.", 64, flag_values=FLAGS
)
_PHOTOS_DIR = shared_flags.photos_dir_flag(FLAGS)
_SPLIT = flags.DEFINE_enum(
    "split", "train", list(SPLITS), "Which of the photographs.", flag_values=FLAGS
)
_SEED = shared_flags.seed_flag(FLAGS)
_LAYOUT = flags.DEFINE_enum(
    "layout", "both", ["mp4", "otb", "both"], "Videos, sequences or both.", flag_values=FLAGS
)
_ANNOTATE = flags.DEFINE_bool(
    "annotate", True, "Draw box and attributes on the videos.", flag_values=FLAGS
)
_SHEET = flags.DEFINE_string(
    "contact_sheet", "contact_sheet.png", "Its file: a .png or .jpg.", flag_values=FLAGS
)
_COLUMNS = flags.DEFINE_integer(
    "columns", 6, "Frames of each video on the contact sheet.", 1, flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder, sheet = _OUTPUT.path, pathlib.Path(_OUTPUT.path, _SHEET.value)
    _check(folder, sheet)
    config = dataclasses.replace(RendererConfig(), side=_SIDE.value, duration=float(_FRAMES.value))
    bank = load_bank(_PHOTOS_DIR.value, _SPLIT.value)
    key = jax.random.key(_SEED.value)
    rendered = rendered_videos(key, bank, config, _VIDEOS.value, _FRAMES.value)
    shown: list[Video] = []
    labels: dict[str, Mapping[str, np.ndarray]] = {}
    for video in tqdm(rendered, "rendering", _VIDEOS.value, unit="video"):
        name = f"rendered-{len(labels) + 1:03d}"
        labels[name] = _columns(video)
        if len(shown) < _ROWS:
            shown.append(video)
        if _LAYOUT.value != "otb":
            images = _annotated(video) if _ANNOTATE.value else iter(np.asarray(video.frames))
            write_video(folder / "videos" / f"{name}.mp4", images, _FPS)
        if _LAYOUT.value != "mp4":
            otb.write(folder / "sequences", to_sequence(video, name))
    write_sheet(sheet, shown, _COLUMNS.value)
    write_atomic(folder / "annotations.csv", annotations(labels))
    shares = table(labels)
    write_atomic(folder / "attributes.txt", shares + "\n")
    print(shares)
    print(f"written to {folder}")


def _check(folder: pathlib.Path, sheet: pathlib.Path) -> None:
    for part in ("videos", "sequences"):
        if (folder / part).exists():
            raise InputError(f"{folder} holds rendered {part} already: give another --output_dir")
    if _SIDE.value % _BLOCK:
        raise InputError(f"--side={_SIDE.value} must be a multiple of {_BLOCK}")
    if sheet.suffix.lower() not in (".png", ".jpg"):
        raise InputError(f"--contact_sheet={_SHEET.value} must end in .png or .jpg")


def _annotated(video: Video) -> Iterator[np.ndarray]:
    return (annotate(video, index) for index in range(len(video.frames)))


def _columns(video: Video) -> dict[str, np.ndarray]:
    """What is known of each frame, by the names of the columns of `annotations.csv`."""
    boxes = dict(zip(("x", "y", "width", "height"), np.asarray(video.boxes).T, strict=True))
    attributes = {name: np.asarray(video.attributes[name], int) for name in ATTRIBUTES}
    return {**boxes, "visible": np.asarray(video.visible), **attributes}


def annotations(labels: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Every frame of every video as a line of comma-separated values, below their names."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for number, (name, columns) in enumerate(labels.items()):
        if number == 0:
            writer.writerow(["video", "frame", *columns])
        for frame, values in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([name, frame, *(f"{value:.6g}" for value in values)])
    return buffer.getvalue()


def table(labels: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The mean visible share and the share of frames with each attribute, in percent."""
    names = [name for name in next(iter(labels.values())) if name == "visible" or name.isupper()]
    rows = [(video, [columns[name].mean() for name in names]) for video, columns in labels.items()]
    rows.append(("mean", list(np.mean([shares for _, shares in rows], axis=0))))
    width = max(len("% of frames"), *(len(video) for video, _ in rows))
    lines = ["  ".join([f"{'% of frames':{width}}", *(f"{name:>3}" for name in names)])]
    for video, shares in rows:
        cells = [
            f"{100 * share:{max(3, len(n))}.0f}" for n, share in zip(names, shares, strict=True)
        ]
        lines.append("  ".join([f"{video:{width}}", *cells]))
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main, FLAGS)
