"""Every branch of the target-absent and look-alike logic."""

import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.trackers.dimp.localization import LocalizationConfig, Trust, locate

SIDE = 21
MIDDLE = jnp.array([10.0, 10.0])
SIZE = jnp.array([4.0, 4.0])


def find(*peaks, previous=MIDDLE):
    """Locates among peaks given as (x, y, height)."""
    scores = np.zeros((SIDE, SIDE), np.float32)
    for x, y, height in peaks:
        scores[y, x] = height
    return locate(jnp.asarray(scores), previous, SIZE, LocalizationConfig())


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


def test_the_position_is_that_of_a_parabola():
    x = np.arange(SIDE)
    scores = 1 - 0.01 * ((x[None] - 10.3) ** 2 + (x[:, None] - 6.8) ** 2)
    location = locate(jnp.asarray(scores, jnp.float32), MIDDLE, SIZE, LocalizationConfig())
    np.testing.assert_allclose(location.position, [10.3, 6.8], atol=1e-3)


def test_a_flat_map_is_not_found_and_has_no_nan():
    location = find()
    assert location.trust == Trust.NOT_FOUND
    assert jnp.isfinite(location.position).all()
