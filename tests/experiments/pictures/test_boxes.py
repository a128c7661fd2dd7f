"""Boxes of any numbers are drawn, or left out, and the picture stays one."""

import numpy as np
import pytest

from experiments.pictures import clips
from experiments.pictures.drawing import draw_box

FRAME = np.full((60, 80, 3), 128, np.uint8)
NOTHING = [
    [np.nan] * 4, [np.inf, 1, 9, 9], [1, 1, np.inf, 9], [1, -np.inf, 9, 9], [9, 9, -5, 5],
    [9, 9, 0, 5], [1e30, 1e30, 9, 9], [-1e38, 0, 9, 9],
]  # fmt: skip


@pytest.mark.parametrize("box", NOTHING)
@pytest.mark.parametrize("score", [None, 0.5])
def test_a_box_that_is_none_or_far_away_is_not_drawn(box, score):
    drawn = draw_box(FRAME, np.float32(box), None if score is None else score)
    if score is None or not np.isfinite(box).all() or min(box[2:]) <= 0:
        np.testing.assert_array_equal(drawn, FRAME)
    assert drawn.shape == FRAME.shape and drawn.dtype == np.uint8


@pytest.mark.parametrize("score", [np.nan, np.inf, -1e38])
def test_a_score_may_be_any_number(score):
    drawn = draw_box(FRAME, np.float32([20, 20, 30, 20]), score)
    assert (drawn[18:20, 18:52] != 128).any(axis=2).all()  # the upper edge


def test_a_huge_box_shows_the_edges_that_cross_the_frame():
    drawn = draw_box(FRAME, np.float32([40, -1e30, 1e30, 2e30]))
    changed = (drawn != FRAME).any(axis=2)
    assert changed[:, 38:40].all() and not changed[:, 41:].any() and not changed[:, :37].any()


def test_clips_leave_out_what_is_no_box():
    frames = [FRAME] * len(NOTHING)
    none = clips.draw(frames, {}, {})
    assert clips.draw(frames, {"a": np.float32(NOTHING)}, {"a": "red"}) == none
    seen = np.float32([[20, 10, 30, 20], *NOTHING[1:]])
    assert clips.draw(frames, {"a": seen}, {"a": "red"}) != none
