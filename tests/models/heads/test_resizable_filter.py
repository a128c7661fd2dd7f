"""Warped filters against NumPy's interpolation, and the head that they make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import ResizableHead, correlate_plain, warp_filters

FILTERS = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
warp = jax.jit(warp_filters, static_argnames="support")


def resized(length):
    """Corner-aligned linear interpolation along both axes; `length` in (width, height)."""
    width, height = length
    result = np.empty((2, height, width, 3))
    rows, columns = (np.linspace(0, 4, n) for n in (height, width))
    for o in range(2):
        for c in range(3):
            across = np.stack([np.interp(columns, range(5), row) for row in FILTERS[o, :, :, c]])
            down = [np.interp(rows, range(5), column) for column in across.T]
            result[o, :, :, c] = np.stack(down, 1)
    return result


@pytest.mark.parametrize("size", [(5, 5), (3, 7), (9, 5), (7, 9)])
def test_a_warp_is_interpolation_in_the_middle_of_zeros(size):
    warped = warp(FILTERS, jnp.array(size, float), support=9)
    across, down = ((9 - length) // 2 for length in size)
    inner = np.s_[:, down : 9 - down, across : 9 - across]
    np.testing.assert_allclose(warped[inner], resized(size), atol=1e-5)
    outside = np.array(warped)
    outside[inner] = 0
    assert not outside.any()


def test_a_single_place_takes_the_middle():
    warped = warp(FILTERS, jnp.ones(2), support=3)
    np.testing.assert_allclose(warped[:, 1, 1], FILTERS[:, 2, 2], rtol=1e-6)
    assert np.count_nonzero(warped) == 6


called = jax.jit(lambda head, *inputs: head(*inputs), static_argnums=3)


def test_the_head_is_two_convolutions():
    keys = jax.random.split(jax.random.key(0), 4)
    head = ResizableHead.create(keys[0], 6, 3, 5, 2)
    head = head.replace(
        reducer_bias=jax.random.normal(keys[1], (3,)),
        filters=jnp.asarray(FILTERS),
        bias=jnp.array([0.5, -1.0]),
    )
    features = jax.random.normal(keys[2], (2, 8, 10, 6))
    outputs = called(head, features, jnp.array([7.0, 5.0]), 9)
    reduced = features @ (0.3 * head.reducer) + 0.1 * head.reducer_bias
    for o in range(2):
        taps = jnp.asarray(resized((7, 5))[o], jnp.float32) * 2 / np.sqrt(5 * 5 * 3)
        expected = correlate_plain(reduced, taps) + 0.1 * head.bias[o]
        np.testing.assert_allclose(outputs[o], expected, atol=2e-5)


def test_a_new_head_is_silent():
    head = ResizableHead.create(jax.random.key(0), 6, 3, 5, 4)
    assert not called(head, jnp.ones((1, 4, 4, 6)), jnp.array([3.0, 3.0]), 5).any()
