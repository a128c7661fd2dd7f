import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.errors import InputError
from tracking_tasks import boxes, evaluation


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_center_and_from_center_are_inverse(leading):
    given = np.random.default_rng(0).uniform(1, 50, (*leading, 4)).astype(np.float32)
    centers = jax.jit(boxes.center)(given)
    assert centers.shape == (*leading, 2)
    np.testing.assert_allclose(boxes.from_center(centers, given[..., 2:]), given, atol=1e-4)


def test_center_is_half_a_side_from_the_corner():
    np.testing.assert_array_equal(boxes.center(np.float32([10, 20, 5, 8])), [12.5, 24])


@pytest.mark.parametrize(
    ("center", "kept"),
    [([30, 20], [30, 20]), ([-50, 20], [-6, 20]), ([90, 70], [86, 69]), ([-6, 69], [-6, 69])],
)
def test_keep_inside_leaves_a_share_of_each_side_in_the_frame(center, kept):
    size, extent = jnp.float32([20, 30]), jnp.array([80, 60])
    result = boxes.keep_inside(jnp.float32(center), size, extent, 0.2)
    np.testing.assert_allclose(result, kept, rtol=1e-6)


@pytest.mark.parametrize(
    ("box", "named"),
    [
        ([10, 10, 1.9, 20], "too small"),
        ([10, 10, 20, -5], "too small"),
        ([10, float("nan"), 20, 20], "not finite"),
        ([10, 10, float("inf"), 20], "not finite"),
        ([100, 10, 20, 20], "outside the frame"),
        ([-30, 10, 20, 20], "outside the frame"),
        ([10, 70, 20, 20], "outside the frame"),
        ([10, 10, 20], "four numbers"),
        ([[10, 10, 20, 20]], "four numbers"),
        (["10", "10", "wide", "20"], "four numbers"),
    ],
)
def test_unusable_boxes_are_refused_in_one_line(box, named):
    with pytest.raises(InputError, match=named) as caught:
        boxes.validate_box(box, (60, 80, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("box", [[0, 0, 2, 2], [-5, -5, 20, 20], [70, 50, 20, 20], list("1234")])
def test_usable_boxes_are_returned_as_float32(box):
    result = boxes.validate_box(box, (60, 80, 3))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.asarray(box, np.float32))


def test_overlap_is_that_of_the_scores():
    random = np.random.default_rng(1)
    one, other = random.uniform(1, 40, (2, 50, 4)).astype(np.float32)
    other[:5], one[5, 2:] = one[:5], 0
    expected = evaluation.overlap(one, other)
    np.testing.assert_allclose(
        boxes.overlap(jnp.asarray(one), jnp.asarray(other)), expected, rtol=1e-5, atol=1e-6
    )
    assert np.allclose(expected[:5], 1) and 0.05 < expected.mean() < 0.9


def test_scale_keeps_the_centre():
    np.testing.assert_allclose(
        boxes.scale(jnp.array([10.0, 20, 8, 4]), jnp.array(1.5)), [8, 19, 12, 6]
    )


def test_a_step_ends_between_the_smallest_size_and_the_picture():
    min_size, max_size, extent = jnp.float32([3, 4]), jnp.float32([90, 9]), jnp.array([80, 60])
    bounded = lambda center, size: boxes.bounded(
        jnp.float32(center), jnp.float32(size), min_size, max_size, extent, 0.2
    )
    center, size = bounded([30, 20], [1, 100])
    np.testing.assert_array_equal(size, [3, 60])
    np.testing.assert_array_equal(center, [30, 20])
    center, size = bounded([90, 20], [20, 30])
    np.testing.assert_array_equal(size, [20, 30])
    np.testing.assert_allclose(center, [86, 20])  # a fifth of 20 pixels is left inside
    # A target that was larger than the picture in the first frame may be as large again.
    np.testing.assert_array_equal(bounded([30, 20], [100, 100])[1], [90, 60])


def test_relative_boxes_are_those_of_r_cnn_and_come_back():
    center, size = jnp.float32([10, 20]), jnp.float32([8, 4])
    anchor_center, anchor_size = jnp.float32([[6, 21], [10, 20]]), jnp.float32([[4, 8], [8, 4]])
    deltas = boxes.relative(center, size, anchor_center, anchor_size)
    expected = [[1, -1 / 8, np.log(2), np.log(1 / 2)], [0, 0, 0, 0]]
    np.testing.assert_allclose(deltas, expected, rtol=1e-6)
    again = boxes.from_relative(deltas, anchor_center, anchor_size, bound=1.0)
    np.testing.assert_allclose(again[0], [center, center], rtol=1e-6)
    np.testing.assert_allclose(again[1], [size, size], rtol=1e-6)
    _, bounded = boxes.from_relative(deltas, anchor_center, anchor_size, bound=0.5)
    np.testing.assert_allclose(bounded[0], anchor_size[0] * np.exp([0.5, -0.5]), rtol=1e-6)


def test_a_size_is_approached_by_shares_of_its_area_and_of_its_shape():
    size, found = jnp.array([10.0, 20.0]), jnp.array([16.0, 20.0])
    whole = boxes.approach(size, found, 1.0, 1.0, 2.0)
    np.testing.assert_allclose(whole, found, rtol=1e-6)
    area = boxes.approach(size, found, 0.5, 0.0, 2.0)
    np.testing.assert_allclose(area, size * 1.6**0.25, rtol=1e-6)
    shape = boxes.approach(size, found, 0.0, 0.5, 2.0)
    np.testing.assert_allclose(shape, [10 * 1.6**0.25, 20 / 1.6**0.25], rtol=1e-6)
    for factor in (4.0, 0.25):
        bounded = boxes.approach(size, size * factor, 1.0, 1.0, 1.25)
        np.testing.assert_allclose(bounded, size * (1.25 if factor > 1 else 0.8), rtol=1e-6)
