"""Writes sequences in the layout of every format that is read."""

import json
import os
import pathlib

import numpy as np
from PIL import Image

from tracking_tasks.data.sequences import Sequence

LENGTH = 4  # of the sample
BOXES = np.float32([[index, 1, 4, 3] for index in range(LENGTH)])
UAV_NAN = "NaN,NaN,NaN,NaN"


def sample():
    """A short sequence with whatever the formats can say of one."""
    flags = np.array([False, True, False, False])
    return Sequence(
        "ball-1",
        tuple(np.full((6, 8, 3), 50 * index, np.uint8) for index in range(LENGTH)),
        BOXES,
        visible=np.float32([1, 0.5, 1, 1]),
        frame_attributes={"cut_by_image": flags, "full_occlusion": flags, "out_of_view": flags},
        anchors=np.array([1, 0, 0, -1]),
    )


def write_layout(folder, layout, sequences, split=None):
    """Writes sequences so that a reader of the format finds them in `folder`.

    Frames that are files become links, so that their pixels stay the same; those in memory are
    written without loss. Frames without a true box get the format's mark for that.

    Args:
        folder: Created if need be.
        layout: A key of `FORMATS`; also `vot_legacy` (VOT before 2020: frames beside the truth,
            polygons) and `nfs_plain` (the layout that pytracking asks for).
        sequences: Names `<video>.<n>` make several targets of one video in OTB and VOT.
        split: `train`, `val` or `test` of GOT-10k, LaSOT and TrackingNet; the truth of GOT-10k's
            and TrackingNet's test is withheld.
    """
    options = {"split": split} if split else {}
    _WRITERS[layout](pathlib.Path(folder), list(sequences), **options)


def _otb(folder, sequences):
    for sequence in sequences:
        video, _, target = sequence.name.partition(".")
        _frames(folder / video / "img", sequence, "{:04d}.jpg", 1)
        name = f"groundtruth_rect.{target}.txt" if target else "groundtruth_rect.txt"
        _write(folder / video / name, map(_line, _from_one(sequence)))


def _tc128(folder, sequences):
    for sequence in sequences:
        video = folder / sequence.name
        _frames(video / "img", sequence, "{:04d}.jpg", 3)
        _write(video / f"{sequence.name}_frames.txt", [f"3,{len(sequence) + 2}"])
        _write(video / f"{sequence.name}_gt.txt", map(_line, _from_one(sequence)))


def _got10k(folder, sequences, split="val"):
    _write(folder / split / "list.txt", [sequence.name for sequence in sequences])
    for sequence in sequences:
        video = folder / split / sequence.name
        _frames(video, sequence, "{:08d}.jpg", 1)
        lines = [",".join(f"{value:.4f}" for value in box) for box in sequence.boxes]
        _write(video / "groundtruth.txt", lines[:1] if split == "test" else lines)
        _write(
            video / "meta_info.ini",
            ["[METAINFO]", "url: https://example.org/a%20b", f"object_class: {sequence.category}"],
        )
        if split == "test":
            continue
        visible = sequence.annotated if sequence.visible is None else sequence.visible
        absent = ~sequence.annotated if sequence.absent is None else sequence.absent
        cut = sequence.frame_attributes.get("cut_by_image", np.zeros(len(sequence), bool))
        _write(video / "cover.label", [str(round(8 * float(share))) for share in visible])
        _write(video / "absence.label", [str(int(flag)) for flag in absent])
        _write(video / "cut_by_image.label", [str(int(flag)) for flag in cut])


def _lasot(folder, sequences, split=None):
    for sequence in sequences:
        video = folder / sequence.name.rpartition("-")[0] / sequence.name
        _frames(video / "img", sequence, "{:08d}.jpg", 1)
        _write(video / "groundtruth.txt", map(_line, _from_one(sequence)))
        absent = ~sequence.annotated if sequence.absent is None else sequence.absent
        for name in ("full_occlusion", "out_of_view"):
            flags = sequence.frame_attributes.get(name, absent)
            _write(video / f"{name}.txt", [",".join(str(int(flag)) for flag in flags)])
        _write(video / "nlp.txt", ["a thing that moves"])
    if split:
        name = {"train": "training_set.txt", "test": "testing_set.txt"}[split]
        _write(folder / name, [sequence.name for sequence in sequences])


def _trackingnet(folder, sequences, split="train"):
    part = folder / {"train": "TRAIN_0", "test": "TEST"}[split]
    for sequence in sequences:
        _frames(part / "frames" / sequence.name, sequence, "{}.jpg", 0)
        lines = [_line(box) for box in sequence.boxes]
        _write(part / "anno" / f"{sequence.name}.txt", lines[:1] if split == "test" else lines)


def _uav123(folder, sequences):
    for sequence in sequences:
        _frames(folder / "data_seq" / "UAV123" / sequence.name, sequence, "{:06d}.jpg", 1)
        lines = [
            _line(box) if shown else UAV_NAN
            for box, shown in zip(_from_one(sequence), sequence.annotated, strict=True)
        ]
        _write(folder / "anno" / "UAV123" / f"{sequence.name}.txt", lines)


def _nfs(folder, sequences):
    for sequence in sequences:
        absent = ~sequence.annotated if sequence.absent is None else sequence.absent
        hidden = sequence.frame_attributes.get("occluded", np.zeros(len(sequence), bool))
        for rate, repeat in ((30, 8), (240, 1)):
            video = folder / sequence.name / str(rate)
            _frames(video / sequence.name, sequence, "{:05d}.jpg", 1)
            lines = []
            for index in range(repeat * len(sequence)):
                x, y, width, height = sequence.boxes[index // repeat]
                corners = f"{x:.10g} {y:.10g} {x + width:.10g} {y + height:.10g}"
                flags = f"{int(absent[index // repeat])} {int(hidden[index // repeat])} 0"
                lines.append(f'0 {corners} {index + 1} {flags} "a ball"')
            _write(video / f"{sequence.name}.txt", lines)


def _nfs_plain(folder, sequences):
    for sequence in sequences:
        _frames(folder / "sequences" / sequence.name, sequence, "{:05d}.jpg", 1)
        lines = [
            "\t".join(f"{value:.10g}" for value in (box if shown else [np.nan] * 4))
            for box, shown in zip(sequence.boxes, sequence.annotated, strict=True)
        ]
        _write(folder / "anno" / f"nfs_{sequence.name}.txt", lines)


def _vot(folder, sequences):
    videos = {sequence.name.partition(".")[0]: None for sequence in sequences}
    _write(folder / "list.txt", videos)
    for sequence in sequences:
        video, _, target = sequence.name.partition(".")
        _frames(folder / video / "color", sequence, "{:08d}.jpg", 1)
        _write(
            folder / video / "sequence",
            [
                f"name={video}",
                "fps=30",
                "format=default",
                "channel.default=color",
                "channels.color=color/%08d.jpg",
            ],
        )
        name = f"groundtruth_{target}.txt" if target else "groundtruth.txt"
        _write(folder / video / name, _vot_regions(sequence, upright=True))
        if sequence.anchors is not None:
            _write(folder / video / "anchor.value", map(str, sequence.anchors))
        _tags(folder / video, sequence)


def _vot_legacy(folder, sequences):
    _write(folder / "list.txt", [sequence.name for sequence in sequences])
    for sequence in sequences:
        _frames(folder / sequence.name, sequence, "{:08d}.jpg", 1)
        lines = _vot_regions(sequence, upright=False)
        _write(folder / sequence.name / "groundtruth.txt", lines)
        _tags(folder / sequence.name, sequence)


def _vot_regions(sequence, upright):
    lines = []
    for index, (x, y, width, height) in enumerate(sequence.boxes):
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        if sequence.polygons is not None:
            corners = sequence.polygons[index]
        elif upright:
            corners = [(x, y), (width, height)]
        text = ",".join(f"{value:.10g}" for point in corners for value in point)
        lines.append(text if sequence.annotated[index] else "nan,nan,nan,nan")
    return lines


def _tags(video, sequence):
    for name, flags in sequence.frame_attributes.items():
        _write(video / f"{name}.tag", [str(int(flag)) for flag in flags])


def _coco(folder, sequences):
    """The first frame of each sequence becomes an image with one object."""
    images, annotations = [], []
    for number, sequence in enumerate(sequences, start=1):
        height, width = sequence.frame(0).shape[:2]
        file = f"{number:012d}.jpg"
        _frame(folder / "val2017" / file, sequence.frames[0])
        images.append({"id": number, "file_name": file, "width": width, "height": height})
        x, y, w, h = map(float, sequence.boxes[0])
        annotations.append(
            {
                "id": 100 + number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "area": w * h,
                "bbox": [x, y, w, h],
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            }
        )
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    _write(folder / "annotations" / "instances_val2017.json", [json.dumps(document)])


def _frames(folder, sequence, pattern, first):
    for index, frame in enumerate(sequence.frames):
        _frame(folder / pattern.format(first + index), frame)


def _frame(path, frame):
    if path.is_symlink() or path.exists():
        return  # a second target of the same video
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(frame, pathlib.Path):
        os.symlink(frame.resolve(), path)
    else:
        # PNG whatever the name says: lossless, and images are recognized by their content.
        Image.fromarray(frame).save(path, format="PNG")


def _from_one(sequence):
    return sequence.boxes + np.float32([1, 1, 0, 0])


def _line(box):
    return ",".join(f"{value:.10g}" for value in box)


def _write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


_WRITERS = {
    "otb": _otb,
    "tc128": _tc128,
    "got10k": _got10k,
    "lasot": _lasot,
    "trackingnet": _trackingnet,
    "uav123": _uav123,
    "nfs": _nfs,
    "nfs_plain": _nfs_plain,
    "vot": _vot,
    "vot_legacy": _vot_legacy,
    "coco": _coco,
}
LAYOUTS = tuple(_WRITERS)
VIDEO_LAYOUTS = tuple(layout for layout in LAYOUTS if layout != "coco")


def format_of(layout):
    """Returns the key of `FORMATS` that reads a layout."""
    return layout.removesuffix("_legacy").removesuffix("_plain")
