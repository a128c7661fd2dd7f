"""Crops: exact on linear images, border repetition, and the padding that must not be seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks import crops


def ramp(height=40, width=60):
    """Red grows with x, green with y; a pixel has the value at its centre."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([2 * x, 3 * y, np.full_like(x, 7)], -1)


@pytest.mark.parametrize(("center", "side"), [((30.0, 20.0), 16.0), ((25.5, 17.25), 30.0)])
def test_a_crop_of_a_linear_image_is_linear(center, side):
    frame, size = ramp(), 8
    image = crops.crop(
        jnp.asarray(np.floor(frame), jnp.uint8), jnp.array([60, 40]), jnp.asarray(center),
        jnp.asarray(side), size,
    )  # fmt: skip
    positions = (np.arange(size) + 0.5) / size - 0.5
    np.testing.assert_allclose(image[0, :, 0], 2 * (center[0] + positions * side), atol=1.01)
    np.testing.assert_allclose(image[:, 0, 1], 3 * (center[1] + positions * side), atol=1.01)
    np.testing.assert_allclose(image[..., 2], 7)


def test_outside_the_picture_its_border_repeats_and_padding_is_never_seen():
    frame = np.full((64, 64, 3), 200, np.uint8)
    frame[:20, :30] = 50
    image = crops.crop(
        jnp.asarray(frame), jnp.array([30, 20]), jnp.array([28.0, 18.0]), jnp.asarray(20.0), 8
    )
    np.testing.assert_array_equal(image, 50)


def by_matrices(frame, extent, center, sides, size):
    """The crop in double precision: two bilinear samples a pixel and axis, as two matrices."""
    axes = []
    for axis, length in enumerate((frame.shape[1], frame.shape[0])):
        offsets = (np.arange(2 * size) + 0.5) / (2 * size) - 0.5
        index = np.clip(center[axis] + offsets * sides[axis] - 0.5, 0, extent[axis] - 1)
        tent = np.maximum(1 - np.abs(index[:, None] - np.arange(length)), 0)
        axes.append(tent.reshape(size, 2, length).mean(1))
    return np.einsum("yh,hwc,xw->yxc", axes[1], frame.astype(float), axes[0])


def samples(center, sides, extent, size):
    """Those of the columns, and of the rows."""
    axes = zip(*(jnp.asarray(numbers) for numbers in (center, sides, extent)), strict=True)
    return [crops._Samples.create(*axis, size) for axis in axes]


def test_both_ways_to_interpolate_are_two_matrix_products_alone_and_in_a_batch():
    rng = np.random.default_rng(0)
    frame, extent = rng.integers(0, 256, (48, 64, 3), np.uint8), np.array([50, 40])
    centers = rng.uniform(-5, 55, (3, 2)).astype(np.float32)
    sides = rng.uniform(5, 90, (3, 2)).astype(np.float32)
    expected = np.stack(
        [by_matrices(frame, extent, *one, 12) for one in zip(centers, sides, strict=True)]
    )
    arrays = (jnp.asarray(frame), jnp.asarray(extent))
    batch = jax.vmap(lambda c, s: crops.crop(*arrays, c, s, 12))(centers, sides)
    np.testing.assert_allclose(batch, expected, atol=2e-3)
    columns, rows = samples(centers[0], sides[0], extent, 12)
    for way in (crops._all_at_once, crops._line_by_line):
        image = way(arrays[0], rows, columns)
        np.testing.assert_allclose(image, expected[0], atol=2e-3)


@pytest.mark.parametrize("center", [(5.0, 20.0), (300.0, 20.0), (615.0, 20.0), (800.0, 20.0)])
@pytest.mark.parametrize("width", [30.0, 505.0, 511.5, 620.0, 2000.0])
def test_of_a_wide_frame_no_column_is_missing(center, width):
    frame = np.random.default_rng(0).integers(0, 256, (40, 640, 3), np.uint8)
    extent, sides = np.array([620, 40]), np.array([width, 30.0])
    expected = by_matrices(frame, extent, np.array(center), sides, 12)
    columns, rows = samples(center, sides, extent, 12)
    image = crops._line_by_line(jnp.asarray(frame), rows, columns)
    a_step = np.spacing(np.float32(2000))  # of a position so far out, in pixels
    np.testing.assert_allclose(image, expected, atol=255 * a_step)


def test_rotation_moves_the_top_to_the_side():
    image = np.zeros((9, 9, 3), np.float32)
    image[0, 4] = 1.0
    rotated = crops.rotate(jnp.asarray(image), 90.0)
    assert abs(float(rotated.sum()) - 3.0) < 1e-3
    column = int(jnp.argmax(rotated[4, :, 0]))
    assert column in (0, 8)


def test_blur_keeps_the_mean_and_has_its_deviation():
    image = np.zeros((31, 31, 3), np.float32)
    image[15, 15] = 1.0
    blurred = np.asarray(crops.blur(jnp.asarray(image), (2.0, 1.0)))[..., 0]
    np.testing.assert_allclose(blurred.sum(), 1.0, rtol=1e-5)
    offsets = np.arange(31) - 15
    np.testing.assert_allclose(blurred.sum(1) @ offsets**2, 4.0, rtol=0.05)
    np.testing.assert_allclose(blurred.sum(0) @ offsets**2, 1.0, rtol=0.05)
