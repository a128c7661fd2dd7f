import numpy as np
import pytest

from basics.errors import InputError
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import otb_starts

IMAGE = np.zeros((60, 80, 3), np.uint8)


def make(boxes, **flags):
    return Sequence("a", (IMAGE,) * len(boxes), np.asarray(boxes, np.float32), **flags)


def test_twelve_first_boxes():
    sequence = make([[20, 10, 25, 12], [21, 10, 25, 12]])
    runs = list(otb_starts.spatial(sequence))
    # Shifts of ceil(2.5) and ceil(1.2); corners to round(21 - 2.5) = 19 and so on, from 1;
    # scaled corners 21 + 12.5 - 10 = 23.5, rounded to 24.
    expected = {
        "a_left": [17, 10, 25, 12],
        "a_right": [23, 10, 25, 12],
        "a_up": [20, 8, 25, 12],
        "a_down": [20, 12, 25, 12],
        "a_top_left": [18, 9, 27, 13],
        "a_top_right": [20, 9, 28, 13],
        "a_bottom_left": [18, 10, 27, 13],
        "a_bottom_right": [20, 10, 28, 13],
        "a_scale_8": [23, 11, 20, 10],
        "a_scale_9": [21, 11, 23, 11],
        "a_scale_11": [19, 9, 28, 13],
        "a_scale_12": [18, 9, 30, 14],
    }
    assert {run.name: run.boxes[0].tolist() for run in runs} == expected
    assert all(np.array_equal(run.boxes[1], sequence.boxes[1]) for run in runs)


def test_first_boxes_stay_inside_the_image():
    low, high = make([[0, 0, 20, 20], [0, 0, 9, 9]]), make([[70, 50, 10, 10], [0, 0, 9, 9]])
    boxes = {run.name: run.boxes[0].tolist() for run in otb_starts.spatial(low)}
    assert boxes["a_left"] == [0, 0, 20, 20]
    assert boxes["a_top_left"] == [0, 0, 22, 22]
    boxes = {run.name: run.boxes[0].tolist() for run in otb_starts.spatial(high)}
    assert boxes["a_right"] == [71, 50, 9, 10]
    assert boxes["a_scale_12"] == [69, 49, 11, 11]


def test_twenty_later_starts():
    frames = 96
    boxes = np.stack([np.arange(frames), np.arange(frames), *np.full((2, frames), 9)], axis=1)
    boxes[76, 2:] = 0
    sequence = make(
        boxes, absent=np.arange(frames) == 76, frame_attributes={"cut": boxes[:, 0] > 5}
    )
    runs = list(otb_starts.temporal(sequence))
    # 76 of the frames 0 to 76 are annotated: every fourth of them, and the last.
    assert [int(run.boxes[0, 0]) for run in runs] == [*range(0, 76, 4), 75]
    assert [len(run) for run in runs] == [*range(96, 20, -4), 21]
    assert runs[0].name == "a_01"
    assert runs[2].frame_attributes["cut"].all()
    assert not runs[1].frame_attributes["cut"].all()
    assert np.flatnonzero(runs[2].absent) == [76 - 8]


def test_a_short_sequence_has_twenty_starts_too():
    runs = list(otb_starts.temporal(make(np.tile([1, 1, 9, 9], (22, 1)))))
    assert len(runs) == 20
    assert [len(run) for run in runs][::19] == [22, 20]
    with pytest.raises(InputError, match="too short"):
        list(otb_starts.temporal(make(np.tile([1, 1, 9, 9], (19, 1)))))
