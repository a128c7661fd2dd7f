import numpy as np
import pytest

from tracking_tasks.data import absences
from tracking_tasks.data.sequences import Sequence


def sequence(value, frames=40):
    images = tuple(np.full((60, 80, 3), value + index, np.uint8) for index in range(frames))
    boxes = np.tile(np.float32([20, 10, 20, 30]), (frames, 1))
    return Sequence("a", images, boxes)


def test_a_target_is_taken_away_in_three_ways_and_comes_back_where_it_was():
    found = absences.with_absences(sequence(100), sequence(10))
    lead, away, back = absences.LEAD, absences.AWAY, absences.BACK
    assert len(found) == lead + 3 * (away + back)
    expected = np.zeros(len(found), bool)
    starts = [lead + turn * (away + back) for turn in range(3)]
    for start in starts:
        expected[start : start + away] = True
    np.testing.assert_array_equal(found.absent, expected)
    np.testing.assert_array_equal(found.annotated, ~expected)
    black, cut, hidden = (found.frame(start) for start in starts)
    assert (black == 0).all()
    assert (cut == 10).all()
    value = 100 + lead + 2 * back - 1  # the frame before it
    inside = np.zeros((60, 80), bool)
    inside[4:46, 16:44] = True  # 1.4 times the box
    assert (hidden[inside] == 10).all()
    assert (hidden[~inside] == value).all()
    assert found.frame(starts[0] + away)[0, 0, 0] == found.frame(starts[0] - 1)[0, 0, 0] + 1
    for kind, start in zip(("black", "cut", "hidden"), starts, strict=True):
        assert found.frame_attributes[kind].nonzero()[0].tolist() == list(
            range(start, start + away)
        )


@pytest.mark.parametrize("box", [[-30, -30, 50, 50], [70, 50, 40, 40]])
def test_what_hides_a_target_at_the_edge_stays_in_the_picture(box):
    one = sequence(100)
    one = Sequence("a", one.frames, np.tile(np.float32(box), (len(one), 1)))
    found = absences.with_absences(one, sequence(10))
    hidden = found.frame(int(found.frame_attributes["hidden"].argmax()))
    x, y = np.clip(np.array(box[:2]) + np.array(box[2:]) // 2, 1, [78, 58])
    assert hidden[y, x, 0] == 10


def test_a_target_comes_back_in_another_place():
    found = absences.coming_back_elsewhere(sequence(100, 60), sequence(10), seed=3)
    lead, away = absences.LEAD, absences.AWAY
    assert len(found) == lead + away + absences.RETURN
    np.testing.assert_array_equal(found.annotated[lead : lead + away], False)
    before, after = found.boxes[lead - 1], found.boxes[lead + away]
    assert np.abs(before[:2] - after[:2]).max() >= 60
    np.testing.assert_array_equal(before[2:], [20, 30])
    assert found.frame(0).shape == (120, 240, 3)
    assert (found.frame(lead) == 10).all()
    x, y, w, h = after.astype(int)
    assert (found.frame(lead + away)[y : y + h, x : x + w] == 100 + lead).all()
