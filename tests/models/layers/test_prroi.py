import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from models import precise_roi_pool


def test_matches_the_reference_and_both_its_gradients(data_root):
    names = ("features", "rois", "real_outputs", "gradients0", "gradients1")
    features, rois, outputs, features_gradient, rois_gradient = (
        np.load(data_root / "oracles" / "prroi" / f"{name}.npy") for name in names
    )

    def pool(features, rois):
        """The reference's layout: (n, c, h, w) maps, (image, x1, y1, x2, y2) boxes."""
        maps = features.transpose(0, 2, 3, 1)[rois[:, 0].astype(int)]
        boxes = jnp.concatenate([rois[:, 1:3], rois[:, 3:] - rois[:, 1:3]], -1)
        return precise_roi_pool(maps, boxes, (2, 2), 0.5).transpose(0, 3, 1, 2)

    np.testing.assert_allclose(jax.jit(pool)(features, rois), outputs, rtol=1e-5, atol=1e-5)
    total = jax.grad(lambda *arguments: pool(*arguments).sum(), (0, 1))
    gradients = jax.jit(total)(features, rois)
    np.testing.assert_allclose(gradients[0], features_gradient, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradients[1], rois_gradient, rtol=1e-5, atol=1e-5)


def test_a_linear_map_pools_to_its_value_at_the_bin_centres():
    rows, columns = jnp.meshgrid(jnp.arange(12.0), jnp.arange(15.0), indexing="ij")
    features = jnp.stack([rows, columns, jnp.ones_like(rows)], -1)
    pooled = precise_roi_pool(features, jnp.array([24.0, 16.0, 48.0, 40.0]), (5, 4), 1 / 8)
    centres_y, centres_x = 2 + 5 * (np.arange(5) + 0.5) / 5, 3 + 6 * (np.arange(4) + 0.5) / 4
    np.testing.assert_allclose(pooled[..., 0], np.tile(centres_y[:, None], (1, 4)), rtol=1e-5)
    np.testing.assert_allclose(pooled[..., 1], np.tile(centres_x, (5, 1)), rtol=1e-5)
    np.testing.assert_allclose(pooled[..., 2], 1, rtol=1e-5)


def test_outside_the_map_is_zero():
    features = jnp.ones((4, 4, 1))
    pooled = precise_roi_pool(features, jnp.array([-20.0, 0.0, 40.0, 3.0]), (1, 2), 1.0)
    # Integral of the interpolated row of four ones is 4: 0.5 of it left of x = 0.
    np.testing.assert_allclose(pooled[0, :, 0], [0.5 / 20, 3.5 / 20], rtol=1e-5)
    assert precise_roi_pool(features, jnp.array([50.0, 50.0, 4.0, 4.0]), (1, 1), 1.0).item() == 0


def test_gradients_in_double_precision():
    with jax.enable_x64(True):
        features = jax.random.normal(jax.random.key(0), (6, 7, 2))
        box = jnp.array([1.3, 0.7, 3.1, 4.2])

        def pooled(features, box):
            return jnp.sum(jnp.sin(precise_roi_pool(features, box, (3, 2), 0.9)))

        check_grads(jax.jit(pooled), (features, box), order=1, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("size", [(0.0, 0.0), (0.0, 5.0), (5.0, 0.0), (-3.0, 4.0)])
def test_a_box_without_area_gives_zero_and_no_nan(size):
    features = jax.random.normal(jax.random.key(0), (6, 7, 2))
    box = jnp.array([2.0, 3.0, *size])

    @jax.jit
    def value_and_gradients(features, box):
        pooled, vjp = jax.vjp(lambda f, b: precise_roi_pool(f, b, (3, 3), 1.0), features, box)
        return pooled, *vjp(jnp.ones_like(pooled))

    for zero in value_and_gradients(features, box):
        np.testing.assert_array_equal(zero, 0)


def test_batches_and_vmap_agree_with_one_at_a_time():
    features = jax.random.normal(jax.random.key(0), (3, 6, 7, 2))
    boxes = jnp.array([[1.0, 2, 3, 2], [0.5, 0.5, 4, 4], [2, 1, 0, 3]])
    pool = jax.jit(lambda features, boxes: precise_roi_pool(features, boxes, (2, 3), 1.0))
    batched = pool(features, boxes)
    many = jax.vmap(pool, (None, 0))(features[0], boxes)
    for index in range(3):
        one = pool(features[index], boxes[index])
        np.testing.assert_allclose(batched[index], one, rtol=1e-5, atol=1e-6)
        one = pool(features[0], boxes[index])
        np.testing.assert_allclose(many[index], one, rtol=1e-5, atol=1e-6)
