"""The usual score of a target, and what is said by it."""

import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.trackers.usual_score import followed, is_gone, relative, relative_scores


@pytest.mark.parametrize(
    ("usual", "score", "after"),
    [
        (0.0, 0.8, 0.8),  # the first one
        (0.0, -0.1, 0.0),  # none that could be usual
        (0.8, 1.0, 0.9),
        (0.8, 0.56, 0.68),  # seven tenths of it count
        (0.8, 0.55, 0.8),
        (0.8, np.nan, 0.8),
        (0.8, np.inf, 0.8),
    ],
)
def test_the_usual_score_goes_half_of_the_way_to_one_that_is_much_like_it(usual, score, after):
    assert float(followed(jnp.float32(usual), jnp.float32(score))) == pytest.approx(after, abs=1e-6)


def test_a_score_counts_in_square_roots_of_the_usual_one():
    assert float(relative(jnp.float32(0.6), jnp.float32(0.36))) == pytest.approx(1.0)
    assert float(relative(jnp.float32(0.49), jnp.float32(0.0))) == pytest.approx(0.7)
    assert float(relative(jnp.float32(-0.2), jnp.float32(0.0))) == pytest.approx(-0.2)


def test_scores_of_a_video_are_relative_to_what_was_usual_before():
    # Usual after each: 0.64, 0.64 (0.2 does not count), 0.82.
    scores = relative_scores(jnp.array([0.64, 0.2, 1.0, 0.5]))
    expected = [0.8, 0.2 / 0.8, 1.0 / 0.8, 0.5 / 0.82**0.5]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_a_target_is_gone_below_half_of_its_usual_score():
    assert not is_gone(0.2, 0.4)
    assert is_gone(0.199, 0.4)
