"""Peaks between the cells, and over scales, against values worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks import peaks

SCALES = jnp.array([0.5, 1.0, 2.0])


def bump(x, y, height):
    """A parabola around a point; its values at the cells are exact."""
    cells = np.arange(9)
    return height - 0.02 * ((cells[None] - x) ** 2 + (cells[:, None] - y) ** 2)


def test_a_peak_lies_where_its_parabola_does():
    scores = jnp.asarray(bump(3.3, 5.8, 1.0), jnp.float32)
    cell, score = peaks.highest(scores)
    np.testing.assert_array_equal(cell, [3, 6])
    assert score == scores[6, 3]
    np.testing.assert_allclose(cell + peaks.sub_cell(scores, cell), [3.3, 5.8], atol=1e-4)


@pytest.mark.parametrize(("penalty", "scale"), [(0.95, 2), (0.85, 1)])
def test_another_scale_wins_in_spite_of_its_penalty_or_not(penalty, scale):
    places = [(2.0, 2.0, 0.2), (4.2, 3.0, 0.9), (6.0, 5.3, 1.0)]
    scores = jnp.asarray(np.stack([bump(*place) for place in places]), jnp.float32)
    found = peaks.search_scales(scores, scores, SCALES, penalty)
    assert found.scale == scale and peaks.best_scale(scores, SCALES, penalty) == scale
    np.testing.assert_allclose(found.position, places[scale][:2], atol=1e-4)
    x, y = np.round(places[scale][:2]).astype(int)
    assert found.score == scores[scale, y, x]


def test_where_the_target_may_be_decides_and_the_response_gives_place_and_score():
    scores = jnp.asarray(np.stack([bump(2.3, 2.0, 1.0)] * 3), jnp.float32)
    likely = jnp.zeros_like(scores).at[1, 2, 3].set(1.0)
    found = peaks.search_scales(scores, likely, SCALES, 0.9)
    assert found.scale == 1 and found.score == scores[1, 2, 3]
    # The parabola through the neighbours of cell 3 has its vertex half a cell off, at most.
    np.testing.assert_allclose(found.position, [2.5, 2.0], atol=1e-4)


@pytest.mark.parametrize(
    ("vertex", "expected"),
    [(2.3, 2.3), (4.0, 4.0), (0.2, 0.2), (-3.0, 0.0), (7.9, 7.9), (11.0, 8.0)],
)
def test_the_peak_of_a_line_is_the_parabola_s_vertex_as_far_as_the_line_goes(vertex, expected):
    values = 5 - 0.3 * (jnp.arange(9.0) - vertex) ** 2
    assert peaks.line_peak(values) == pytest.approx(expected, abs=1e-4)


def test_a_line_without_a_peak_has_it_in_the_middle():
    assert peaks.line_peak(jnp.full(9, 0.7)) == 4
