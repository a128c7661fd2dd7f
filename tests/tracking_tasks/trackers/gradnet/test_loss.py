"""The balanced logistic loss, its labels, and the cosine window, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks import labels
from tracking_tasks.trackers.gradnet import loss as losses

positives = jax.jit(losses.positives, static_argnums=(1, 2, 3))
balanced_logistic = jax.jit(losses.balanced_logistic)
cosine = jax.jit(labels.cosine, static_argnums=(1, 2))


def test_positive_cells_are_those_within_the_radius():
    found = positives(jnp.array([[2.0, 1.0], [3.0, 3.0]]), 5, 6, 1.0)
    assert np.argwhere(found[0]).tolist() == [[0, 2], [1, 1], [1, 2], [1, 3], [2, 2]]
    assert found[1].sum() == 5


def test_a_target_between_cells_or_outside_has_its_nearest_cell():
    found = positives(jnp.array([[1.4, 1.4], [9.0, 2.0]]), 4, 4, 0.1)
    assert np.argwhere(found).tolist() == [[0, 1, 1], [1, 2, 3]]


def test_both_classes_weigh_half_however_many_cells_they_have():
    logits = jnp.array([[[2.0, -1.0, 0.5, 3.0]]])
    positive = jnp.array([[[True, False, False, False]]])
    negatives = np.mean(np.log1p(np.exp([-1.0, 0.5, 3.0])))
    expected = (np.log1p(np.exp(-2.0)) + negatives) / 2
    np.testing.assert_allclose(balanced_logistic(logits, positive), [expected], rtol=1e-6)
    slope = jax.grad(lambda x: balanced_logistic(x, positive)[0])(logits)[0, 0]
    sigmoid = 1 / (1 + np.exp([2.0, 1.0, -0.5, -3.0]))
    np.testing.assert_allclose(slope, sigmoid * [-1 / 2, 1 / 6, 1 / 6, 1 / 6], rtol=1e-5)


@pytest.mark.parametrize("every", [True, False])
def test_a_map_of_one_class_counts_half(every):
    cells = jnp.full((1, 2, 2), every)
    loss = balanced_logistic(jnp.zeros((1, 2, 2)), cells)
    np.testing.assert_allclose(loss, [np.log(2) / 2], rtol=1e-6)


def test_huge_logits_stay_finite():
    logits = jnp.array([[[1e4, -1e4]]])
    loss = balanced_logistic(logits, jnp.array([[[False, True]]]))
    np.testing.assert_allclose(loss, [1e4])


def test_the_cosine_window_is_a_hann_window_around_its_center():
    found = cosine(jnp.array([2.0, 3.0]), 7, 5)
    across, down = np.hanning(7)[1:-1], np.hanning(9)[1:-1]
    np.testing.assert_allclose(found, np.outer(down, across), atol=1e-6)
    off = cosine(jnp.array([0.5, 3.0]), 7, 5)
    across = np.cos(np.pi * (np.arange(4) - 0.5) / 6) ** 2
    np.testing.assert_allclose(off[3], [*across, 0], atol=1e-6)
