import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers import small
from tracking_tasks.episode import Frame
from tracking_tasks.trackers import TRACKERS, scale_filter
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig

CONFIG = ScaleFilterConfig(enabled=True, scales=7, followed=1.0)
CENTER = jnp.float32([60, 50])

create = jax.jit(scale_filter.create, static_argnums=0)
growth, learned = jax.jit(scale_filter.growth), jax.jit(scale_filter.learned)
patches = jax.jit(scale_filter.patches, static_argnums=0)
histograms = jax.jit(scale_filter.histograms, static_argnums=(1, 2))


def picture(factor, seed=0):
    """A frame with a textured target of 24 x 30 pixels times `factor` around CENTER."""
    texture = np.random.default_rng(seed).uniform(0, 255, (9, 9, 3)).astype(np.float32)
    y, x = np.mgrid[:100, :120].astype(np.float32) + 0.5
    inside = [
        (p - c) / (factor * s) for p, c, s in zip((x, y), np.asarray(CENTER), (24, 30), strict=True)
    ]
    index = [np.clip((part + 0.5) * 9 - 0.5, 0, 8) for part in inside]
    sample = lambda channel: scipy.ndimage.map_coordinates(channel, index[::-1], order=1)
    image = np.stack([sample(texture[..., c]) for c in range(3)], -1)
    image[(np.abs(inside[0]) > 0.5) | (np.abs(inside[1]) > 0.5)] = 90
    return Frame(jnp.asarray(image.round().astype(np.uint8)), jnp.array([120, 100]))


def box(factor=1.0):
    size = factor * np.array([24, 30])
    return jnp.float32([*(np.asarray(CENTER) - size / 2), *size])


def test_the_filter_is_the_ridge_regression_over_all_cyclic_shifts(monkeypatch):
    """Two features of seven scales against the dense solution; the response at another look."""
    n, d, penalty = 7, 2, 0.3
    config = dataclasses.replace(CONFIG, regularization=penalty)
    first, second = np.random.default_rng(0).normal(size=(2, n, d)).astype(np.float32)
    monkeypatch.setattr("tracking_tasks.trackers.scale_filter.look", lambda *_: jnp.asarray(first))
    fitted = scale_filter.create(config, picture(1.0), box())

    wanted = np.exp(-0.5 * (np.arange(n) - 3.0) ** 2)
    shifts = np.stack([np.roll(first, -shift, 0).ravel() for shift in range(n)])
    dual = np.linalg.solve(shifts @ shifts.T + penalty * np.eye(n), wanted)
    weights = shifts.T @ dual
    response = [np.roll(second, -shift, 0).ravel() @ weights for shift in range(n)]
    seen = np.fft.fft(second, axis=0)
    total = np.sum(np.conj(fitted.numerator) * seen, 1) / (fitted.denominator + penalty)
    np.testing.assert_allclose(np.fft.ifft(total).real, response, atol=1e-5)


@pytest.mark.parametrize("rate", [1.01, 0.985])
def test_a_target_that_grows_is_followed(rate):
    config = ScaleFilterConfig(enabled=True, followed=1.0)
    fitted, size = create(config, picture(1.0), box()), box()[2:]
    for index in range(1, 17):
        frame = picture(rate**index)
        size = size * growth(fitted, frame, CENTER, size)
        fitted = learned(fitted, frame, CENTER, size)
        assert size == pytest.approx(rate**index * np.array([24, 30]), rel=0.015)
    assert abs(np.log(size[0] / 24)) > 0.14


def test_where_nothing_is_seen_the_size_stays():
    fitted = create(CONFIG, picture(1.0), box())
    black = Frame(jnp.zeros((100, 120, 3), jnp.uint8), jnp.array([120, 100]))
    np.testing.assert_allclose(growth(fitted, black, CENTER, box()[2:]), 1, rtol=1e-6)


def test_what_is_not_found_has_not_grown():
    fitted = create(CONFIG, picture(1.0), box())
    assert growth(fitted, picture(1.06), CENTER, box()[2:], jnp.array(False)) == 1


def test_half_of_a_change_is_followed_in_its_logarithm():
    found = []
    for followed in (1.0, 0.5):
        config = dataclasses.replace(CONFIG, followed=followed)
        fitted = create(config, picture(1.0), box())
        found.append(np.log(growth(fitted, picture(1.06), CENTER, box()[2:])))
    assert found[1] == pytest.approx(found[0] / 2, rel=1e-4)


def test_a_later_frame_is_learned_at_its_size():
    config = dataclasses.replace(CONFIG, learning_rate=0.25)
    fitted, size = create(config, picture(1.0), box()), jnp.float32([25, 31])
    later = picture(1.03, seed=1)
    found = learned(fitted, later, CENTER, size)
    kept = learned(fitted, later, CENTER, size, jnp.array(False))
    alone = create(config, later, jnp.concatenate([CENTER - size / 2, size]))
    for name in ("numerator", "denominator"):
        before, new, mixed = (np.asarray(getattr(one, name)) for one in (fitted, alone, found))
        expected = 0.75 * before + 0.25 * new
        np.testing.assert_allclose(mixed, expected, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_array_equal(getattr(kept, name), before)


def test_each_scale_sees_its_part_of_a_ramp():
    """The mean of a linear ramp over a pixel is its value in the pixel's middle."""
    y, x = np.mgrid[:100, :120]
    frame = Frame(jnp.asarray(np.stack([x, y, x], -1).astype(np.uint8)), jnp.array([120, 100]))
    seen = patches(CONFIG, frame, CENTER, jnp.float32([24, 32]))
    for factor, patch in zip(1.03 ** np.arange(-3, 4), seen, strict=True):
        middles = (np.arange(16) + 0.5) / 16 - 0.5
        columns, rows = 60 + 24 * factor * middles - 0.5, 50 + 32 * factor * middles - 0.5
        inner = slice(1, -1)  # beyond the border of the largest part its last pixel repeats
        np.testing.assert_allclose(patch[8, inner, 0], columns[inner], atol=0.02)
        np.testing.assert_allclose(patch[inner, 8, 1], rows[inner], atol=0.02)


def test_a_ramp_has_one_direction():
    for angle, signed in ((0.0, 0), (np.pi / 2, 2), (np.pi, 4)):
        y, x = np.mgrid[:8, :8]
        ramp = 100 + 5 * (np.cos(angle) * x + np.sin(angle) * y)
        found = np.asarray(histograms(jnp.float32(ramp)[..., None], 4, 4))
        expected = np.zeros(12)
        expected[[signed, 8 + signed % 4]] = 1
        np.testing.assert_allclose(found, np.broadcast_to(expected, (2, 2, 12)), atol=2e-3)


def test_without_a_filter_the_size_stays():
    assert scale_filter.create(ScaleFilterConfig(), picture(1.0), box()) is None
    assert scale_filter.growth(None, picture(1.06), CENTER, box()[2:]) == 1
    assert scale_filter.learned(None, picture(1.06), CENTER, box()[2:]) is None


def with_a_filter(tracker, **changes):
    enabled = dataclasses.replace(tracker.config.scale_filter, enabled=True)
    config = dataclasses.replace(tracker.config, scale_filter=enabled, **changes)
    return tracker.replace(config=config)


def first_step(tracker):
    """The states before and after it, and the frame of it."""
    (first, second), (start, _) = video(2)
    before = jax.jit(type(tracker).init)(tracker, frame(first), jnp.asarray(start))
    after, _ = jax.jit(type(tracker).step)(tracker, before, frame(second))
    return before, after, frame(second)


def assert_follows(before, after, seen, searched, moved=True):
    """That the size is the filter's, on top of what the search over scales has found."""
    grown = growth(before.scale_filter, seen, after.center, before.size)
    np.testing.assert_allclose(after.size, searched * (grown if moved else 1), rtol=1e-5)
    fitted = learned(before.scale_filter, seen, after.center, after.size, moved)
    np.testing.assert_allclose(
        after.scale_filter.denominator, fitted.denominator, rtol=1e-3, atol=1e-2
    )
    return grown


def test_a_tracker_s_size_follows_its_filter_alone_where_it_searches_one_scale():
    tracker = with_a_filter(small.make("gradnet", "none", stand_in=True), scales=(1.0,))
    before, after, seen = first_step(tracker)
    assert not np.array_equal(after.center, before.center)
    assert assert_follows(before, after, seen, before.size) != 1


@pytest.mark.full
@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_s_size_follows_its_filter_too(name):
    """Beside the same tracker without one, at the first step, where all else is alike."""
    without = small.make(name, TRACKERS[name].default_rule, stand_in=True)
    _, plain, _ = first_step(without)
    before, after, seen = first_step(with_a_filter(without))
    np.testing.assert_allclose(after.center, plain.center, rtol=1e-6)
    moved = not np.array_equal(after.center, before.center)
    assert_follows(before, after, seen, plain.size, moved)
