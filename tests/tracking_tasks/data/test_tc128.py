"""TColor-128 as published: frames outside the annotated range, against got10k's reader, damage."""

import numpy as np
import pytest

from basics.errors import InputError
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data.formats import read_dataset
from tracking_tasks.data.sequences import Sequence


def make_sequence(name, length=5):
    frames = tuple(np.full((length, 24, 32, 3), 9, np.uint8))
    return Sequence(name, frames, np.float32([[i, 2, 10, 12] for i in range(length)]))


@pytest.fixture
def folder(tmp_path):
    """Two sequences, the first with frames before and after those that have a box."""
    sequences = [make_sequence("Ball_ce1"), make_sequence("Yo_yos", length=3)]
    write_layout(tmp_path, "tc128", sequences)
    images = tmp_path / "Ball_ce1" / "img"
    for number in (1, 2, 8):
        (images / f"{number:04d}.jpg").write_bytes((images / "0003.jpg").read_bytes())
    return tmp_path


def test_frames_and_boxes_are_those_of_got10k_s_reader(folder):
    datasets = pytest.importorskip("got10k.datasets")
    theirs = datasets.TColor128(str(folder), download=False)
    ours = read_dataset(folder, "tc128")
    assert [each.name for each in ours] == list(theirs.seq_names) == ["Ball_ce1", "Yo_yos"]
    for sequence, (images, boxes) in zip(ours, theirs, strict=True):
        assert [str(path) for path in sequence.frames] == images
        np.testing.assert_array_equal(sequence.boxes, boxes - [1, 1, 0, 0])
    assert [path.name for path in ours[0].frames] == [f"000{number}.jpg" for number in range(3, 8)]


@pytest.mark.parametrize("text", ["", "3", "3,7\n3,7", "7,3", "0,7", "3,7.5", "a,7"])
def test_what_is_no_range_of_frames_is_named(folder, text):
    (folder / "Ball_ce1" / "Ball_ce1_frames.txt").write_text(text)
    with pytest.raises(InputError, match=r"Ball_ce1_frames.txt, line 1: expected one line"):
        read_dataset(folder, "tc128")


def test_a_range_without_its_frames_is_named(folder):
    (folder / "Ball_ce1" / "Ball_ce1_frames.txt").write_text("3,9")
    with pytest.raises(InputError, match=r"Ball_ce1_gt.txt has 5 .* 6 "):
        read_dataset(folder, "tc128")
