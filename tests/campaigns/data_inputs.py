"""The kinds of input that data sets and videos are made of."""

import numpy as np
from PIL import Image

from experiments.few_shot.tasks.mini_imagenet import MiniImageNet
from experiments.few_shot.tasks.omniglot import Omniglot
from experiments.tracks import starts
from tests.campaigns.inputs import Subject
from tests.experiments.few_shot import data as few_shot_data
from tests.tracking_tasks.data.layouts import LAYOUTS, format_of, sample, write_layout
from tracking_tasks.data import coco, formats, packed
from tracking_tasks.data.sequences import read_image
from tracking_tasks.data.video_writing import write_video
from tracking_tasks.data.videos import read_video


def whole(read):
    """Whether sequences hold what can be: finite boxes, one a frame, and frames in their folder."""
    folder, found = read
    for each in found:
        flags = (each.absent, each.anchors, each.visible, *each.frame_attributes.values())
        sizes = {len(values) for values in flags if values is not None} | {len(each.boxes)}
        below = all(folder in path.resolve().parents for path in each.frames)
        if sizes != {len(each)} or not np.isfinite(each.boxes).all() or not below:
            return False
        if each.visible is not None and not ((each.visible >= 0) & (each.visible <= 1)).all():
            return False
    return True


def layout_subject(layout):
    """The annotations of a layout."""

    def write(folder):
        write_layout(folder, layout, [sample()])
        return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".jpg")

    def read(folder):
        return folder.resolve(), formats.read_dataset(folder, format_of(layout))

    return Subject(f"annotations: {layout}", write, read, whole, 1800)


def write_photographs(folder):
    path = folder / "instances.json"
    item = '{"category": 1, "polygon": [[1, 1], [5, 1], [3, 4]], "box": [1, 1, 4, 3]}'
    path.write_text(f'[{{"file": "a.png", "width": 8, "height": 6, "instances": [{item}]}}]')
    return [path]


def photographs_are_whole(found):
    return all(
        np.isfinite([*instance.box]).all() and min(instance.size) > 0
        for instances in found.values()
        for instance in instances
    )


def write_boxes(folder):
    (folder / "a.txt").write_text("1,2,30,40\n50,60,7.5,8\n")
    lines = ("target,frame,x,y,width,height", "cup,0,1,2,30,40", "cup,3,1,2,30,40")
    (folder / "b.csv").write_text("\n".join(lines))
    return [folder / "a.txt", folder / "b.csv"]


def read_boxes(folder):
    found = starts.from_file(folder / "a.txt", 0) + starts.from_file(folder / "b.csv", 0)
    return starts.by_frame(found, (100, 100, 3))


def write_images(folder):
    image = Image.fromarray(np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3))
    for name in ("a.png", "b.jpg", "c.bmp", "d.webp", "e.gif", "f.tif"):
        image.save(folder / name)
    return sorted(folder.iterdir())


def pack(folder):
    packed.pack([sample()], folder / "packed", name="it")
    return sorted(path for path in (folder / "packed").rglob("*") if path.is_file())


def unpack(folder):
    dataset = packed.PackedDataset(folder / "packed")
    found = [dataset[index] for index in range(len(dataset))]
    return found, [dataset.image(number) for number in range(dataset.frames)]


def unpacked_whole(read):
    found, images = read
    return all(
        np.isfinite(each.boxes).all() and 0 <= each.first <= len(images) - len(each.boxes)
        for each in found
    )


def write_mini_imagenet(folder):
    few_shot_data.mini_imagenet(folder, "listed")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def write_omniglot(folder):
    for name in ("images_background", "images_evaluation"):
        few_shot_data.omniglot_zip(folder / f"{name}.zip", ["Latin"], characters=2)
    return sorted(folder.iterdir())


def write_video_file(folder):
    frames = [np.full((32, 32, 3), 20 * index, np.uint8) for index in range(6)]
    write_video(folder / "a.mp4", frames, 10)
    return [folder / "a.mp4"]


def read_video_file(folder):
    return [frame.pixels for frame in read_video(folder / "a.mp4").frames()]


def any_result(_):
    return True


SUBJECTS = [
    *map(layout_subject, LAYOUTS),
    Subject(
        "outlined photographs",
        write_photographs,
        lambda folder: coco.read_annotations(folder / "instances.json"),
        photographs_are_whole,
        1500,
    ),
    Subject(
        "boxes of a user",
        write_boxes,
        read_boxes,
        lambda found: all(
            np.isfinite(box).all() for each in found.values() for box in each.values()
        ),
        1500,
    ),
    Subject(
        "images",
        write_images,
        lambda folder: [read_image(path) for path in sorted(folder.iterdir())],
        lambda found: all(image.dtype == np.uint8 and image.ndim == 3 for image in found),
        1500,
    ),
    Subject("packed data sets", pack, unpack, unpacked_whole, 300),
    Subject("videos", write_video_file, read_video_file, any_result, 100),
    Subject(
        "few-shot images",
        write_mini_imagenet,
        lambda folder: MiniImageNet.create(data_dir=str(folder), ways=2, shots=1, queries=1),
        any_result,
        300,
    ),
    Subject(
        "few-shot archives",
        write_omniglot,
        lambda folder: Omniglot.create(data_dir=str(folder), ways=2, shots=1, queries=1),
        any_result,
        200,
    ),
]
