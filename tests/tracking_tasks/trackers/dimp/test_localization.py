"""Every branch of the target-absent and look-alike logic."""

import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.trackers.dimp.localization import (
    Last,
    LocalizationConfig,
    LookAlike,
    Trust,
    locate,
)

SIDE = 21
MIDDLE = jnp.array([10.0, 10.0])
DENSITY = jnp.float32(0.25)  # cells in a frame pixel
CENTER, SIZE = jnp.array([100.0, 60.0]), jnp.array([16.0, 16.0])  # in frame pixels


def find(*peaks, look_alike=(np.nan, np.nan), hides=0, **config):
    """Locates among peaks given as (x, y, height); the look-alike of the last frame in cells."""
    scores = np.zeros((SIDE, SIDE), np.float32)
    for x, y, height in peaks:
        scores[y, x] = height
    return located(scores, look_alike, hides, **config)


def located(scores, look_alike=(np.nan, np.nan), hides=0, **config):
    was = CENTER + (jnp.array(look_alike) - MIDDLE) / DENSITY
    last = Last(CENTER, SIZE, LookAlike(was, jnp.asarray(hides)))
    config = LocalizationConfig(**config)
    return locate(jnp.asarray(scores, jnp.float32), MIDDLE, DENSITY, last, config)


def in_cells(look_alike):
    return MIDDLE + (look_alike.position - CENTER) * DENSITY


@pytest.mark.parametrize(
    ("peaks", "position", "score", "trust"),
    [
        pytest.param([(12, 9, 0.8)], (12, 9), 0.8, Trust.NORMAL, id="one peak"),
        pytest.param([(12, 9, 0.2)], (12, 9), 0.2, Trust.NOT_FOUND, id="too low"),
        pytest.param([(12, 9, 0.8), (12, 11, 0.7)], (12, 9), 0.8, Trust.NORMAL, id="same target"),
        pytest.param(
            [(12, 9, 0.8), (3, 3, 0.5)], (12, 9), 0.8, Trust.HARD_NEGATIVE, id="look-alike"
        ),
        pytest.param([(12, 9, 0.8), (3, 3, 0.3)], (12, 9), 0.8, Trust.NORMAL, id="weak rival"),
        pytest.param(
            [(12, 9, 0.8), (20, 20, 0.78)], (12, 9), 0.8, Trust.HARD_NEGATIVE, id="rival is far"
        ),
        pytest.param(
            [(20, 20, 0.8), (12, 9, 0.78)], (12, 9), 0.78, Trust.HARD_NEGATIVE, id="first is far"
        ),
        pytest.param(
            [(8, 10, 0.8), (14, 10, 0.78)], (8, 10), 0.8, Trust.UNCERTAIN, id="both are near"
        ),
    ],
)  # fmt: skip
def test_locate(peaks, position, score, trust):
    location = find(*peaks)
    np.testing.assert_allclose(location.position, position)
    np.testing.assert_allclose(location.score, score)
    assert location.trust == trust


@pytest.mark.parametrize(
    ("peaks", "look_alike", "position", "trust", "other"),
    [
        pytest.param(
            [(6, 10, 0.8), (13, 10, 0.78)], None, (13, 10), Trust.UNCERTAIN, (6, 10),
            id="of two equal peaks the nearer",
        ),
        pytest.param(
            [(8, 10, 0.8), (15, 10, 0.78)], None, (8, 10), Trust.UNCERTAIN, (15, 10),
            id="the first is the nearer",
        ),
        pytest.param(
            [(6, 10, 0.8), (12, 10, 0.5)], None, (6, 10), Trust.HARD_NEGATIVE, (12, 10),
            id="the nearer is not as good",
        ),
        pytest.param(
            [(6, 10, 0.8), (12, 10, 0.5)], (5, 10), (12, 10), Trust.HARD_NEGATIVE, (6, 10),
            id="the first is the look-alike",
        ),
        pytest.param(
            [(12, 10, 0.8), (6, 10, 0.5)], (5, 10), (12, 10), Trust.HARD_NEGATIVE, (6, 10),
            id="the second is the look-alike",
        ),
        pytest.param(
            [(15, 10, 0.8), (6, 10, 0.5)], (18, 10), (6, 10), Trust.HARD_NEGATIVE, (15, 10),
            id="both have moved to the left",
        ),
        pytest.param(
            [(6, 10, 0.8), (12, 10, 0.3)], (5, 10), None, Trust.NOT_FOUND, (6, 10),
            id="the look-alike alone",
        ),
        pytest.param(
            [(9, 10, 0.8)], (5, 10), (9, 10), Trust.NORMAL, None, id="the target alone"
        ),
        pytest.param([(5, 10, 0.2)], (5, 10), None, Trust.NOT_FOUND, None, id="too low"),
    ],
)  # fmt: skip
def test_a_look_alike_is_followed(peaks, look_alike, position, trust, other):
    location = find(*peaks, look_alike=look_alike or (np.nan, np.nan), follow_look_alikes=True)
    assert location.trust == trust
    if position is not None:
        np.testing.assert_allclose(location.position, position)
    np.testing.assert_allclose(in_cells(location.look_alike), other or (np.nan, np.nan), rtol=1e-5)


def test_a_look_alike_hides_the_target_for_so_many_frames():
    alone = {"look_alike": (5, 10), "follow_look_alikes": True, "most_hidden": 3}
    peaks = [(6, 10, 0.8), (10, 10, 0.3)]
    hidden = find(*peaks, hides=2, **alone)
    assert (hidden.trust, hidden.look_alike.hides) == (Trust.NOT_FOUND, 3)
    np.testing.assert_allclose(hidden.score, 0.3)  # that of the place where the target was
    taken = find(*peaks, hides=3, **alone)
    assert (taken.trust, taken.look_alike.hides) == (Trust.NORMAL, 0)
    np.testing.assert_allclose(taken.position, (6, 10))
    assert jnp.isnan(taken.look_alike.position).all()


def test_the_published_tracker_follows_none():
    equal = [(6, 10, 0.8), (13, 10, 0.78)]
    np.testing.assert_allclose(find(*equal).position, (6, 10))
    lower = [(6, 10, 0.8), (12, 10, 0.5)]
    np.testing.assert_allclose(find(*lower, look_alike=(5, 10)).position, (6, 10))
    assert find((6, 10, 0.8), look_alike=(5, 10)).trust == Trust.NORMAL


def test_the_position_is_that_of_a_parabola():
    x = np.arange(SIDE)
    scores = 1 - 0.01 * ((x[None] - 10.3) ** 2 + (x[:, None] - 6.8) ** 2)
    np.testing.assert_allclose(located(scores).position, [10.3, 6.8], atol=1e-3)


def test_a_flat_map_is_not_found_and_has_no_nan():
    location = find()
    assert location.trust == Trust.NOT_FOUND
    assert jnp.isfinite(location.position).all()
