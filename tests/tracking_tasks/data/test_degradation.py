"""Each kind of degradation by its closed form, and how often and how strongly they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.data import degradation
from tracking_tasks.data.degradation import Degradation, DegradationConfig

degrade = jax.jit(degradation.degrade)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def image():
    return jnp.round(jax.random.uniform(KEY, (20, 36, 3), maxval=255.0))


def test_by_default_nothing_changes(image):
    np.testing.assert_array_equal(degrade(image, Degradation(), KEY), image)


def test_light_and_colour_follow_their_formulas(image):
    how = Degradation(gamma=1.5, contrast=0.4, gains=(0.5, 1.0, 1.2), colour=0.25)
    light = np.asarray(image, float) / 255
    light = (0.5 + 0.4 * (light**1.5 - 0.5)) * [0.5, 1.0, 1.2]
    grey = light @ [[0.299], [0.587], [0.114]]
    expected = 255 * np.clip(grey + 0.25 * (light - grey), 0, 1)
    np.testing.assert_allclose(degrade(image, how, KEY), expected, atol=0.51)


def dots(*places, size=(21, 33)):
    image = np.zeros((*size, 3), np.float32)
    for y, x in places:
        image[y, x] = 255
    return jnp.asarray(image)


def moments(image):
    """Mass, mean y, x and variance along y, x of a picture's first channel."""
    mass = np.asarray(image[..., 0], float)
    y, x = np.mgrid[: mass.shape[0], : mass.shape[1]]
    mean = [(mass * axis).sum() / mass.sum() for axis in (y, x)]
    spread = [
        (mass * (axis - m) ** 2).sum() / mass.sum() for axis, m in zip((y, x), mean, strict=True)
    ]
    return mass.sum(), mean, spread


def test_blur_spreads_a_dot_as_a_gaussian_and_motion_along_its_line():
    dot = 1000 * dots((10, 16))  # bright, so that rounding does not matter
    spread = jax.jit(degradation._blur)
    light = jnp.moveaxis(dot, -1, 0)
    mass, mean, variance = moments(jnp.moveaxis(spread(light, 1.5, jnp.zeros(2)), 0, -1))
    np.testing.assert_allclose(mass, 255000, rtol=1e-4)
    np.testing.assert_allclose(mean, [10, 16], atol=1e-3)
    np.testing.assert_allclose(variance, [2.25, 2.25], rtol=0.02)
    # Uniform over a line of 8 pixels: a variance of 64 / 12 along it and none across.
    line = spread(light, 0.0, jnp.array([8.0, 0.0]))[0]
    np.testing.assert_allclose(line[10, 13:20], 255000 / 8, rtol=0.12)
    assert np.abs(np.asarray(line[8::4][:2])).max() < 1


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_fewer_pixels_are_means_enlarged_linearly(factor):
    coarse = np.asarray(degradation._coarsen(12, factor)) @ np.arange(12.0) ** 2
    step = int(factor)
    means = (np.arange(12.0) ** 2).reshape(-1, step).mean(1)
    centers = (np.arange(12 // step) + 0.5) * step
    np.testing.assert_allclose(coarse, np.interp(np.arange(12) + 0.5, centers, means), rtol=1e-5)


def test_a_factor_between_keeps_the_mean():
    coarse = np.asarray(degradation._coarsen(48, 2.7))
    np.testing.assert_allclose(coarse.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(coarse @ np.ones(48), np.ones(48), rtol=1e-5)
    steady = coarse @ np.arange(48.0)
    # A pixel is one value over its width, which a cut at a fraction of it errs by.
    np.testing.assert_allclose(steady[4:-6], np.arange(48)[4:-6], atol=1 / (8 * 2.7))


def test_noise_has_its_deviation_and_comes_from_the_key():
    grey = jnp.full((64, 64, 3), 128.0)
    noisy = np.asarray(degrade(grey, Degradation(noise=12.0), KEY))
    np.testing.assert_allclose([noisy.mean(), noisy.std()], [128, 12], rtol=0.03)
    other = np.asarray(degrade(grey, Degradation(noise=12.0), jax.random.key(1)))
    assert abs(np.corrcoef(noisy.ravel(), other.ravel())[0, 1]) < 0.05


def test_compression_leaves_of_faint_blocks_their_means():
    image = 100 + 20 * jnp.repeat(jax.random.uniform(KEY, (16, 24, 1)), 3, -1)
    blocky = np.asarray(degrade(image, Degradation(step=100.0), KEY))[..., 0]
    blocks, means = (np.asarray(x).reshape(2, 8, 3, 8) for x in (blocky, image[..., 0]))
    np.testing.assert_array_equal(blocks.std((1, 3)), 0)
    # A block's mean is an eighth of its first coefficient, which has a quarter of the step.
    np.testing.assert_allclose(blocks.mean((1, 3)), means.mean((1, 3)), atol=100 / 64 + 0.5)


def test_videos_are_degraded_as_often_and_as_strongly_as_configured():
    config = DegradationConfig(share=0.8, each=0.5, grey=0.25, blur=2.0, shrink=4.0)
    draw = jax.jit(jax.vmap(lambda key: degradation.draw(key, config)))
    drawn = draw(jax.random.split(KEY, 4000))
    shares = [np.mean(np.asarray(x) != y) for x, y in ((drawn.blur, 0), (drawn.shrink, 1))]
    np.testing.assert_allclose(shares, 0.4, atol=0.03)
    np.testing.assert_allclose(np.mean(drawn.colour == 0), 0.2, atol=0.03)
    assert 1.9 < drawn.blur.max() <= 2 and 3.8 < drawn.shrink.max() <= 4 and drawn.shrink.min() >= 1
    gamma = np.log(np.asarray(drawn.gamma)) / config.gamma
    np.testing.assert_allclose([gamma.min(), gamma.max(), gamma.mean()], [-1, 1, 0], atol=0.03)
    length = np.linalg.norm(drawn.motion, axis=-1)
    np.testing.assert_allclose(length.max(), config.motion, rtol=0.02)
    assert np.asarray(drawn.gains).max() < np.exp(config.tint)


def test_no_video_is_degraded_by_default():
    drawn = jax.jit(lambda key: degradation.draw(key, DegradationConfig()))(KEY)
    for value, untouched in zip(drawn, Degradation(), strict=True):
        np.testing.assert_allclose(value, untouched, atol=0)
