import numpy as np
import pytest

from basics.errors import InputError
from experiments.tracks import starts
from experiments.tracks.starts import Start


def test_flags_number_their_targets_and_correct_them():
    found = starts.from_flags(["1,2,3,4", "5,6,7,8"], ["9:1,1,2,2", "12:2:3,3,4,4"], 5)
    assert found == [
        Start(5, "1", (1, 2, 3, 4)),
        Start(5, "2", (5, 6, 7, 8)),
        Start(9, "1", (1, 1, 2, 2)),
        Start(12, "2", (3, 3, 4, 4)),
    ]


def test_a_file_of_boxes_has_a_line_a_target(tmp_path):
    (tmp_path / "a.txt").write_text("1,2,3,4\n5 6 7 8\n")
    assert starts.from_file(tmp_path / "a.txt", 7) == [
        Start(7, "1", (1, 2, 3, 4)),
        Start(7, "2", (5, 6, 7, 8)),
    ]


def test_a_file_with_a_header_names_targets_and_frames(tmp_path):
    (tmp_path / "a.csv").write_text(
        "target,frame,x,y,width,height,score\ndog,,1,2,3,4,1\ncat,12,5,6,7,8,\ndog,20,9,9,3,3,\n"
    )
    found = starts.from_file(tmp_path / "a.csv", 4)
    assert found == [
        Start(4, "dog", (1, 2, 3, 4)),
        Start(12, "cat", (5, 6, 7, 8)),
        Start(20, "dog", (9, 9, 3, 3)),
    ]
    given = starts.by_frame(found, (40, 60))
    assert list(given) == [4, 12, 20]
    np.testing.assert_array_equal(given[12]["cat"], np.float32([5, 6, 7, 8]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no box"),
        ("1,2,3\n", "line 1"),
        ("target,x,y,width\n1,2,3,4\n", "has no column height"),
        ("target,x,y,width,height\na,1,2,,4\n", "line 2"),
        ("target,frame,x,y,width,height\na,z,1,2,3,4\n", "line 2"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        starts.from_file(tmp_path / "a.csv", 0)
