"""Adaptive RoIAlign against loops over samples and cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from models import adaptive_roi_align


def reference(features, boxes, size):
    """Every sample one by one, every cell one by one."""
    height, width, channels = features.shape
    out = np.zeros((len(boxes), size, size, channels))
    for n, (x, y, w, h) in enumerate(boxes):
        for i in range(size):
            for j in range(size):
                at_y = min(max(y + h * (i + 0.5) / size, 0), height - 1)
                at_x = min(max(x + w * (j + 0.5) / size, 0), width - 1)
                band_y, band_x = max(h / size, 1), max(w / size, 1)
                total = 0.0
                for row in range(height):
                    for column in range(width):
                        weight = max(0, 1 - abs(row - at_y) / band_y) * max(
                            0, 1 - abs(column - at_x) / band_x
                        )
                        out[n, i, j] += weight * features[row, column]
                        total += weight
                out[n, i, j] /= total
    return out


BOXES = np.array(
    [
        [1.2, 2.3, 2.0, 1.5],  # bins below a cell: plain bilinear
        [0.5, 1.0, 6.1, 4.2],
        [-3.0, 5.0, 7.0, 9.0],  # beyond the border, which repeats
        [20.0, -9.0, 3.0, 3.0],
    ]
)


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(8, 9, 3))


def test_matches_the_loops(features):
    ours = jax.jit(adaptive_roi_align, static_argnums=2)(features, BOXES, 3)
    np.testing.assert_allclose(ours, reference(features, BOXES, 3), rtol=1e-4, atol=1e-5)


def test_a_fine_sample_is_bilinear(features):
    (sample,) = adaptive_roi_align(jnp.asarray(features), jnp.array([[2.0, 3.0, 0.5, 1.0]]), 1)
    (top, bottom) = (0.75 * features[row, 2] + 0.25 * features[row, 3] for row in (3, 4))
    np.testing.assert_allclose(sample[0, 0], (top + bottom) / 2, rtol=1e-5)


def test_gradients_of_features_and_boxes(features):
    with jax.enable_x64(True):
        align = jax.jit(lambda *arguments: adaptive_roi_align(*map(jnp.asarray, arguments), 3))
        check_grads(align, (features, BOXES[:2]), order=1, modes=["rev"], rtol=1e-6)
