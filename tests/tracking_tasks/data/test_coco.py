import json

import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data import coco, formats
from tracking_tasks.data.outlines import instance_outlines
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.run_lengths import parse_counts, to_mask

SQUARE = [20.0, 16.0, 60.0, 16.0, 60.0, 56.0, 20.0, 56.0]


def annotation(number, image=1, **changes):
    return {
        "id": 100 + number,
        "image_id": image,
        "category_id": 17,
        "iscrowd": 0,
        "bbox": [20, 16, 40, 40],
        "segmentation": [SQUARE],
    } | changes


def write_coco(folder, annotations, count=1, changes=()):
    """Writes a data set as it is published, with `count` images of the same size."""
    document = {
        "info": {"description": "COCO"},
        "images": [
            {"id": number, "file_name": f"{number:012d}.jpg", "width": 96, "height": 80}
            for number in range(1, count + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 17, "name": "cat", "supercategory": "animal"}],
    }
    (folder / "annotations").mkdir(parents=True)
    (folder / "val2017").mkdir()
    path = folder / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(document | dict(changes)))
    for number in range(1, count + 1):
        pixels = np.random.default_rng(number).integers(0, 255, (80, 96, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "val2017" / f"{number:012d}.jpg")
    return path


def encode(mask):
    """Counts of pixels outside and inside by turns, column by column."""
    flat = np.asarray(mask, bool).T.ravel()
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    return np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()


def test_compressed_masks_are_those_of_cocoapi():
    mask = np.zeros((5, 7), bool)
    mask[1:4, 2:6] = True
    mask[2, 3] = False
    # pycocotools.mask.encode of this mask.
    counts = parse_counts({"size": [5, 7], "counts": ";32NO012004"}, (7, 5))
    assert counts == encode(mask) == [11, 3, 2, 1, 1, 1, 2, 3, 2, 3, 6]
    np.testing.assert_array_equal(to_mask(counts, (7, 5)), mask)
    np.testing.assert_array_equal(
        to_mask(parse_counts({"size": [5, 7], "counts": counts}, (7, 5)), (7, 5)), mask
    )


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (";32NO01200", "do not add up"),
        (";32NO01200d", "ends within a number"),
        (";32 O012004", "no run-length string"),
        ([11, 3, -2, 23], "no positive integers"),
        ([11, 3.5], "no positive integers"),
        ([11, 3], "do not add up"),
    ],
)
def test_damaged_masks_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        parse_counts({"size": [5, 7], "counts": counts}, (7, 5))
    with pytest.raises(ValueError, match="another size than 8x5"):
        parse_counts({"size": [5, 7], "counts": counts}, (8, 5))


def test_objects_are_stills(tmp_path):
    mask = np.zeros((80, 96), bool)
    mask[10:30, 40:50] = True
    write_coco(
        tmp_path,
        [
            annotation(1),
            annotation(2, image=2, bbox=[40, 10, 10, 20], category_id=3)
            | {"segmentation": {"size": [80, 96], "counts": encode(mask)}},
            annotation(3, iscrowd=1, segmentation={"size": [80, 96], "counts": "x"}),
            annotation(4, bbox=[3, 4, 10, 0]),  # COCO has a few without an area
            annotation(5, image=2, segmentation=[SQUARE, SQUARE[:4], SQUARE[:6]]),
        ],
        count=2,
    )
    stills = formats.read_dataset(tmp_path, "coco")
    names = ["000000000001-101", "000000000002-102", "000000000002-105"]
    assert [still.name for still in stills] == names
    first, second, third = stills
    assert [still.category for still in stills] == ["cat", "", "cat"]
    assert first.frame(0).shape == (80, 96, 3)
    np.testing.assert_array_equal(first.boxes, np.float32([[20, 16, 40, 40]]))
    np.testing.assert_array_equal(first.polygons, np.reshape(SQUARE, (1, 4, 2)))
    np.testing.assert_array_equal(second.boxes, np.float32([[40, 10, 10, 20]]))
    assert second.polygons is None and third.polygons is None  # a mask, and two parts
    assert formats.read_dataset(tmp_path, "coco", split="val")[0].name == names[0]
    with pytest.raises(InputError, match=r"expected annotations/instances_train\*.json"):
        formats.read_dataset(tmp_path, "coco", split="train")


def test_polygons_and_masks_outline_the_same(tmp_path):
    mask = np.zeros((80, 96), bool)
    mask[16:57, 20:61] = True  # PIL draws the corners too
    ring = mask.copy()
    ring[30:40, 30:40] = False
    parts = [
        [20.0, 16.0, 60.0, 16.0, 60.0, 30.0, 20.0, 30.0],
        [20.0, 40.0, 60.0, 40.0, 60.0, 56.0, 20.0, 56.0],
    ]
    path = write_coco(
        tmp_path,
        [
            annotation(1),
            annotation(2, segmentation={"size": [80, 96], "counts": encode(ring)}),
            annotation(3, segmentation=parts),
            annotation(4, segmentation=[]),
        ],
    )
    ((image, instances),) = coco.read_annotations(path).items()
    assert image == tmp_path / "val2017" / "000000000001.jpg"
    square, hollow, halves = instance_outlines((96, 80), instances)
    np.testing.assert_array_equal(square.mask, mask)
    np.testing.assert_array_equal(hollow.mask, ring)
    gap = mask.copy()
    gap[31:40] = False
    np.testing.assert_array_equal(halves.mask, gap)
    assert {square.category, hollow.category, halves.category} == {17}


def test_the_renderers_bank_takes_them_from_where_they_are_published(tmp_path):
    write_coco(tmp_path, [annotation(n, image=n) for n in range(1, 11)], count=10)
    bank = load_bank(tmp_path, side=80, tile=32)
    assert len(bank.photos) == len(bank.cutouts) == 8
    assert (bank.category == 17).all()
    np.testing.assert_allclose(bank.extent, 0.84, atol=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, 3]}, "is malformed: a box that is not x, y, width, height"),
        ({"bbox": [1, 2, float("nan"), 4]}, "is malformed: a box"),
        ({"bbox": "large"}, "is malformed: a box that is not"),
        ({"image_id": 9}, "is malformed: its image 9 is not listed"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "is malformed: a polygon that is not x and y"),
        ({"segmentation": [[*SQUARE[:6], 200, 3]]}, "is malformed: an outline outside its 96x80"),
        ({"segmentation": {"counts": [3]}}, "has no 'size'"),
        ({"segmentation": {"size": [80, 96], "counts": "b"}}, "is malformed: a mask that ends"),
        ({"category_id": None}, "is malformed: int"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path, changes, message):
    write_coco(tmp_path, [annotation(1), annotation(2, **changes)])
    with pytest.raises(InputError, match=f"instances_val2017.json, annotation 2 {message}"):
        formats.read_dataset(tmp_path, "coco")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 1, "file_name": "a.jpg"}]}, "image 1 has no 'width'"),
        (
            {"images": [{"id": 1, "width": 0, "height": 3, "file_name": "a"}]},
            "image 1 is malformed: an image of 0x3",
        ),
        ({"images": {}}, "images is no list"),
        ({"categories": [{"id": 1}]}, "category 1 has no 'name'"),
        ({"annotations": []}, "outlines no object"),
    ],
)
def test_malformed_lists_are_named(tmp_path, changes, message):
    write_coco(tmp_path, [annotation(1)], changes=changes)
    with pytest.raises(InputError, match=f"instances_val2017.json.*{message}"):
        formats.read_dataset(tmp_path, "coco")


def test_missing_images_are_named(tmp_path):
    write_coco(tmp_path, [annotation(1)])
    (tmp_path / "val2017" / "000000000001.jpg").unlink()
    with pytest.raises(InputError, match=r"instances_val2017.json: none of its 1 images is found"):
        formats.read_dataset(tmp_path, "coco")


def test_development_photographs_are_stills_too(data_root):
    folder = data_root / "data" / "photos" / "coco"
    entries = json.loads((folder / "instances.json").read_text())
    stills = formats.read_dataset(folder, "coco")
    boxes = [item["box"] for entry in entries for item in entry["instances"]]
    assert len(stills) == len(boxes) == 1458
    np.testing.assert_array_equal(np.concatenate([s.boxes for s in stills]), np.float32(boxes))
    first = stills[0]
    assert first.frame(0).shape[:2] == (entries[0]["height"], entries[0]["width"])
    # The outlines lie where the boxes say.
    for still in stills:
        low, high = still.polygons[0].min(axis=0), still.polygons[0].max(axis=0)
        assert np.abs(np.concatenate([low, high - low]) - still.boxes[0]).max() < 3
