"""Every format: what is written in its layout is read back, and what only it has."""

import dataclasses
import pathlib

import numpy as np
import pytest

from basics.errors import InputError
from tests.tracking_tasks.data.layouts import LAYOUTS, VIDEO_LAYOUTS, format_of, write_layout
from tracking_tasks.data import formats
from tracking_tasks.data.formats import regions, uav123
from tracking_tasks.data.sequences import Sequence

SPLIT = {"got10k": "val", "lasot": "test", "vot": None}


def make_sequence(name="thing-1", length=5, **fields):
    generator = np.random.default_rng(0)
    frames = tuple(generator.integers(0, 255, (length, 24, 32, 3)).astype(np.uint8))
    boxes = np.float32([[index, 2 + index, 10, 12] for index in range(length)])
    return Sequence(name, frames, boxes, **fields)


def read(folder, layout, **options):
    return formats.read_dataset(folder, format_of(layout), **options)


@pytest.fixture(scope="module")
def whole(data_root):
    return formats.read_dataset(data_root / "data" / "sequences", "otb")


@pytest.fixture(scope="module")
def real(whole):
    """The first 60 frames of every real sequence."""
    return [
        dataclasses.replace(sequence, frames=sequence.frames[:60], boxes=sequence.boxes[:60])
        for sequence in whole
    ]


def test_the_real_sequences_are_read(whole):
    lengths = {sequence.name: len(sequence) for sequence in whole}
    assert lengths == {
        "Car4": 277,
        "Couple": 140,
        "Crossing": 120,
        "DragonBaby": 113,
        "Jogging.1": 307,
        "Jogging.2": 307,
        "VOT-bag": 196,
    }
    car = whole[0]
    np.testing.assert_array_equal(car.boxes[0], [69, 50, 107, 87])
    assert car.frame(0).shape == (240, 360, 3)
    assert (car.frame(0)[..., 0] == car.frame(0)[..., 1]).all()


@pytest.mark.parametrize("layout", VIDEO_LAYOUTS)
def test_real_sequences_are_the_same_in_every_layout(real, tmp_path, layout):
    write_layout(tmp_path, layout, real)
    back = {sequence.name: sequence for sequence in read(tmp_path, layout)}
    assert sorted(back) == sorted(sequence.name for sequence in real)
    for sequence in real:
        copy = back[sequence.name]
        # The boxes of VOT-bag have fractions; the rest are integers, which every format holds.
        tolerance = 1e-4 if sequence.name == "VOT-bag" else 0
        np.testing.assert_allclose(copy.boxes, sequence.boxes, rtol=0, atol=tolerance)
        targets = [[path.resolve() for path in one.frames] for one in (copy, sequence)]
        assert targets[0] == targets[1]
        np.testing.assert_array_equal(copy.frame(len(copy) - 1), sequence.frame(len(copy) - 1))


def test_real_first_frames_are_the_same_as_stills(real, tmp_path):
    write_layout(tmp_path, "coco", real)
    for sequence, still in zip(real, read(tmp_path, "coco"), strict=True):
        assert len(still) == 1
        np.testing.assert_allclose(still.boxes[0], sequence.boxes[0], atol=1e-4)
        np.testing.assert_array_equal(still.frame(0), sequence.frame(0))
        assert still.category == "thing"


@pytest.mark.parametrize("layout", VIDEO_LAYOUTS)
def test_frames_in_memory_and_without_a_target(tmp_path, layout):
    sequence = make_sequence()
    sequence.boxes[2] = 0
    write_layout(tmp_path, layout, [sequence])
    (back,) = read(tmp_path, layout)
    assert back.name == "thing-1"
    assert back.boxes.dtype == np.float32
    np.testing.assert_array_equal(back.annotated, [True, True, False, True, True])
    np.testing.assert_array_equal(back.boxes[back.annotated], sequence.boxes[back.annotated])
    for index, frame in enumerate(sequence.frames):
        np.testing.assert_array_equal(back.frame(index), frame)
    if layout not in ("otb", "tc128", "nfs_plain"):  # these do not tell absent from not annotated
        np.testing.assert_array_equal(back.absent, ~back.annotated)


def test_got10k_labels(tmp_path):
    flags = np.array([False, True, False, False, True])
    visible = np.float32([1, 0.5, 0, 0.125, 1])
    sequence = make_sequence(
        visible=visible,
        absent=visible == 0,
        frame_attributes={"cut_by_image": flags},
        category="sloop",
    )
    write_layout(tmp_path, "got10k", [sequence], split="train")
    (back,) = read(tmp_path, "got10k")
    np.testing.assert_array_equal(back.visible, visible)
    np.testing.assert_array_equal(back.absent, visible == 0)
    np.testing.assert_array_equal(back.frame_attributes["cut_by_image"], flags)
    assert back.category == "sloop"


@pytest.mark.parametrize("layout", ["got10k", "trackingnet"])
def test_a_withheld_truth_is_one_box_and_then_none(tmp_path, layout):
    sequence = make_sequence()
    write_layout(tmp_path, layout, [sequence], split="test")
    (back,) = read(tmp_path, layout, split="test")
    np.testing.assert_array_equal(back.boxes[0], sequence.boxes[0])
    np.testing.assert_array_equal(back.annotated, [True, False, False, False, False])
    assert back.absent is None
    assert len(back) == 5
    write_layout(tmp_path / "whole", layout, [sequence])
    path = truth_file(tmp_path / "whole")
    path.write_text(path.read_text().splitlines()[0])
    with pytest.raises(InputError, match=rf"{path.name} has 1 lines for 5 frames"):
        read(tmp_path / "whole", layout)


def test_splits(tmp_path):
    one, two = make_sequence("a-1", 2), make_sequence("b-1", 2)
    other = {"got10k": "val", "trackingnet": "test", "lasot": "test"}
    for layout, second in other.items():
        write_layout(tmp_path / layout, layout, [one], split="train")
        write_layout(tmp_path / layout, layout, [two], split=second)
        names = lambda split, layout=layout: [
            sequence.name for sequence in read(tmp_path / layout, layout, split=split)
        ]
        assert names("train") == ["a-1"]
        assert names(second) == ["b-1"]
        assert sorted(names(None)) == ["a-1", "b-1"]
    assert [sequence.name for sequence in read(tmp_path / "got10k" / "val", "got10k")] == ["b-1"]
    part = tmp_path / "trackingnet" / "TEST"
    assert [sequence.name for sequence in read(part, "trackingnet")] == ["b-1"]


def test_lasot_is_absent_where_either_flag_is_set(tmp_path):
    occluded, outside = np.array([[0, 1, 0, 0, 1], [0, 0, 0, 1, 1]], bool)
    sequence = make_sequence(
        "kite-3", frame_attributes={"full_occlusion": occluded, "out_of_view": outside}
    )
    write_layout(tmp_path, "lasot", [sequence])
    (back,) = read(tmp_path, "lasot")
    np.testing.assert_array_equal(back.absent, [False, True, False, True, True])
    np.testing.assert_array_equal(back.frame_attributes["full_occlusion"], occluded)
    assert back.category == "kite"
    path = tmp_path / "kite" / "kite-3" / "full_occlusion.txt"
    path.write_text("0\n1\n0\n0\n1\n")
    np.testing.assert_array_equal(read(tmp_path, "lasot")[0].absent, back.absent)
    assert (tmp_path / "kite" / "kite-3" / "groundtruth.txt").read_text()[:8] == "1,3,10,1"


def test_of_monkey_17_the_frames_with_a_truth_are_read(tmp_path):
    write_layout(tmp_path, "lasot", [make_sequence("monkey-17")])
    path = tmp_path / "monkey" / "monkey-17" / "groundtruth.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    assert len(read(tmp_path, "lasot")[0]) == 3


def test_the_parts_of_uav123():
    parts = uav123._parts()
    assert len(parts) == 123  # as published, and so is the number of frames
    assert sum(last - first + 1 for _, first, last in parts.values()) == 112578
    assert parts["bird1_2"] == ("bird1", 775, 1477)
    assert parts["car1_s"] == ("car1_s", 1, 1475)
    assert uav123._whole()["uav1"] == ("uav1", 1, 3469)


def test_a_part_of_a_video_of_uav123(tmp_path):
    folder = tmp_path / "data_seq" / "UAV123" / "truck4"
    folder.mkdir(parents=True)
    for number in range(1, 1262):
        (folder / f"{number:06d}.jpg").touch()
    for part, first, last in (("UAV123", 577, 1261), ("UAV20L", 1, 1261)):
        name = "truck4_2" if part == "UAV123" else "truck4"
        anno = tmp_path / "anno" / part
        (anno / "att").mkdir(parents=True)
        (anno / f"{name}.txt").write_text("11,21,5,6\n" * (last - first) + "NaN,NaN,NaN,NaN\n")
        (anno / "att" / f"{name}.txt").write_text("1,0,0,0,1,0,0,0,0,0,0,0")
        (sequence,) = read(tmp_path, "uav123", split=part.lower())
        assert sequence.name == name
        assert [int(sequence.frames[index].stem) for index in (0, -1)] == [first, last]
        np.testing.assert_array_equal(sequence.boxes[[0, -1]], [[10, 20, 5, 6], [0, 0, 0, 0]])
        np.testing.assert_array_equal(np.flatnonzero(sequence.absent), [last - first])
        assert sequence.attributes == ("SV", "FOC")


def test_nfs_has_two_rates(tmp_path):
    hidden = np.array([False, True, False, False, True])
    write_layout(tmp_path, "nfs", [make_sequence(frame_attributes={"occluded": hidden})])
    slow, fast = (read(tmp_path, "nfs", split=rate)[0] for rate in ("30", "240"))
    np.testing.assert_array_equal(slow.boxes, fast.boxes)
    np.testing.assert_array_equal(slow.frame_attributes["occluded"], hidden)
    assert slow.frames[0].parent.parent.name == "30"
    path = tmp_path / "thing-1" / "240" / "thing-1.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:4]))  # one short, and then two
    np.testing.assert_array_equal(
        read(tmp_path, "nfs", split="240")[0].annotated[3:], [True, False]
    )
    path.write_text("\n".join(lines[:3]))
    with pytest.raises(InputError, match=r"thing-1.txt reaches frame 3 of 5"):
        read(tmp_path, "nfs", split="240")
    path.write_text("\n".join([lines[0], *lines[2:]]))  # a frame without a line is not annotated
    fast = read(tmp_path, "nfs", split="240")[0]
    np.testing.assert_array_equal(fast.annotated, [True, False, True, True, True])
    np.testing.assert_array_equal(fast.boxes[2:], slow.boxes[2:])


def test_vot_anchors_tags_targets_and_polygons(tmp_path):
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-4, -2], [4, -2], [4, 2], [-4, 2]]) @ turn + [15, 10]
    tags = {"occlusion": np.array([False, True, False, False, True])}
    anchors = np.array([1, 0, 0, 0, -1])
    sequence = make_sequence(
        "ball.2",
        polygons=np.float32([corners] * 5),
        anchors=anchors,
        frame_attributes=tags,
    )
    for layout in ("vot", "vot_legacy"):
        write_layout(tmp_path / layout, layout, [sequence])
        (back,) = read(tmp_path / layout, layout)
        assert back.name == "ball.2"
        np.testing.assert_allclose(back.polygons, sequence.polygons, atol=1e-5)
        np.testing.assert_array_equal(back.frame_attributes["occlusion"], tags["occlusion"])
        # Same area, centre and proportions as the hull.
        low, high = corners.min(0), corners.max(0)
        np.testing.assert_allclose(
            back.boxes[:, :2] + back.boxes[:, 2:] / 2, [[15, 10]] * 5, atol=1e-5
        )
        np.testing.assert_allclose(back.boxes[:, 2] * back.boxes[:, 3], 32, rtol=1e-5)
        ratio = (high - low)[0] / (high - low)[1]
        np.testing.assert_allclose(back.boxes[:, 2] / back.boxes[:, 3], ratio, rtol=1e-5)
        if layout == "vot":
            np.testing.assert_array_equal(back.anchors, anchors)
            assert back.frames[0].parent.name == "color"
        else:
            assert back.anchors is None


def test_vot_without_a_list_in_a_color_folder_and_short_tags(tmp_path):
    write_layout(tmp_path, "vot", [make_sequence("ball")])
    for name in ("list.txt", "ball/sequence"):
        (tmp_path / name).unlink()
    (tmp_path / "ball" / "camera_motion.label").write_text("1\n0\n1\n")
    (back,) = read(tmp_path, "vot")
    expected = [True, False, True, False, False]
    np.testing.assert_array_equal(back.frame_attributes["camera_motion"], expected)
    (tmp_path / "ball" / "camera_motion.label").write_text("1\n" * 6)
    with pytest.raises(InputError, match=r"camera_motion.label has 6 lines for 5 frames"):
        read(tmp_path, "vot")


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("1,2,3,4", [1, 2, 3, 4]),
        ("0,0,4,0,4,2,0,2", [0, 0, 4, 2]),
        (
            "0 0\t4,0 2,3",
            [2 - 2**0.5, 1 - 0.75 * 2**0.5, 2 * 2**0.5, 1.5 * 2**0.5],
        ),
        ("1", [0, 0, 0, 0]),
        ("nan,nan,nan,nan", [0, 0, 0, 0]),
        ("m10,20,4,3,5,2,2,1", [11, 21, 2, 2]),  # two pixels of the second row, one of the third
        ("m10,20,4,3,6,3", [10, 21, 4, 2]),  # a run that goes on in the next row
        ("m10,20,4,3,12", [0, 0, 0, 0]),
    ],
)
def test_regions_of_vot(tmp_path, text, box):
    path = tmp_path / "groundtruth.txt"
    path.write_text(text + "\n")
    np.testing.assert_allclose(regions.read_regions(path).boxes, [box], atol=1e-5)


@pytest.mark.parametrize(
    "text", ["1,2,3", "1,2,3,4,5", "m1,2,3", "m0,0,2,2,9", "m0,0,2,2,1.5", "a"]
)
def test_what_is_no_region_is_named(tmp_path, text):
    path = tmp_path / "groundtruth.txt"
    path.write_text(f"1,2,3,4\n{text}\n")
    with pytest.raises(InputError, match=r"groundtruth.txt, line 2: expected x,y,width,height"):
        regions.read_regions(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_that_hold_nothing_are_named(tmp_path, layout):
    with pytest.raises(InputError, match=r" holds no .*: expected "):
        read(tmp_path, layout)
    with pytest.raises(InputError, match=r"missing is not a folder"):
        read(tmp_path / "missing", layout)


@pytest.mark.parametrize("layout", ["got10k", "vot", "lasot"])
def test_lists_of_names(tmp_path, layout):
    write_layout(tmp_path, layout, [make_sequence(), make_sequence("cup-2")], split=SPLIT[layout])
    names = {"got10k": "val/list.txt", "vot": "list.txt", "lasot": "testing_set.txt"}
    path = tmp_path / names[layout]
    for text, message in (
        ("", f"{path.name} is empty: it must list the sequences"),
        ("thing-1\n\ncup-2\n", f"{path.name}, line 2: expected the name of a sequence"),
        ("../thing-1\n", f"{path.name}, line 1: expected the name of a sequence"),
        ("thing-1\nthing-9\n", "thing-9.* does not exist"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read(tmp_path, layout, split=SPLIT[layout])
    path.write_text("cup-2\r\n")
    assert [sequence.name for sequence in read(tmp_path, layout, split=SPLIT[layout])] == ["cup-2"]
    if layout == "lasot":
        path.unlink()
        with pytest.raises(InputError, match=r"testing_set.txt does not exist"):
            read(tmp_path, layout, split="test")


@pytest.mark.parametrize("layout", VIDEO_LAYOUTS)
def test_a_missing_or_damaged_frame_is_named(tmp_path, layout):
    write_layout(tmp_path, layout, [make_sequence(length=12)])
    (sequence,) = read(tmp_path, layout)
    sequence.frames[4].write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(InputError, match=f"{sequence.frames[4].name} is not a readable image"):
        sequence.frame(4)
    for index in (4, 5):
        sequence.frames[index].unlink()
    with pytest.raises(InputError, match=rf"{sequence.frames[4].name} is missing|of 10 in"):
        read(tmp_path, layout)
    for path in sequence.frames:
        path.unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"frames|images"):
        read(tmp_path, layout)


@pytest.mark.parametrize("layout", VIDEO_LAYOUTS)
def test_a_damaged_line_is_named(tmp_path, layout):
    write_layout(tmp_path, layout, [make_sequence()])
    path = truth_file(tmp_path)
    lines = path.read_text().splitlines()
    for damaged in ("1,2,x,4", "1,2", "nan,1,2,3", ""):
        path.write_text("\n".join([lines[0], damaged, *lines[2:]]) + "\n")
        with pytest.raises(InputError, match=rf"{path.name}, line 2: expected .*, found"):
            read(tmp_path, layout)
    path.write_text("")
    with pytest.raises(InputError, match=path.name):
        read(tmp_path, layout)


def truth_file(folder: pathlib.Path) -> pathlib.Path:
    """Returns the file with the true boxes of the only sequence of a folder."""
    own = {"thing-1.txt", "nfs_thing-1.txt", "thing-1_gt.txt"}
    names = {"groundtruth_rect.txt", "groundtruth.txt"} | own
    return [path for path in sorted(folder.rglob("*.txt")) if path.name in names][-1]
