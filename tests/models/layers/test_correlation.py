import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import correlate, correlate_all, correlate_plain

SIZES = [(1, 1), (3, 3), (4, 4), (5, 5), (2, 5), (4, 3)]


def random(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradients(correlation, features, filter):
    response, vjp = jax.vjp(correlation, features, filter)
    return response, *vjp(jnp.cos(jnp.arange(response.size)).reshape(response.shape))


@pytest.mark.parametrize("size", SIZES)
def test_response_and_both_gradients_in_double_precision(size):
    with jax.enable_x64(True):
        features, filter = random(0, 3, 7, 9, 8), random(1, *size, 8)
        actual = value_and_gradients(correlate, features, filter)
        expected = value_and_gradients(correlate_plain, features, filter)
        for ours, theirs in zip(actual, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "shape"), [((5, 5), (2, 7, 9)), ((4, 4), (2, 8, 10)), ((3, 4), (2, 7, 10))]
)
def test_even_filters_give_one_more(size, shape):
    assert jax.eval_shape(correlate, random(0, 2, 7, 9, 3), random(1, *size, 3)).shape == shape


def test_value_by_hand():
    features = np.zeros((1, 3, 3, 2), np.float32)
    features[0, 1, 2] = [1, 10]
    filter = np.arange(18, dtype=np.float32).reshape(3, 3, 2)
    response = correlate(jnp.asarray(features), jnp.asarray(filter))
    # Output (i, j) meets the one lit cell through tap (2 - i, 3 - j).
    taps = filter @ [1, 10]
    np.testing.assert_array_equal(response[0, :, 1:], taps[::-1, 2:0:-1])
    np.testing.assert_array_equal(response[0, :, 0], 0)


def test_maps_over_episodes_each_with_its_filter():
    features, filters = random(0, 2, 3, 6, 6, 4), random(1, 2, 4, 4, 4)
    mapped = jax.jit(jax.vmap(correlate))(features, filters)
    for index in range(2):
        expected = correlate_plain(features[index], filters[index])
        np.testing.assert_allclose(mapped[index], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("count", "channels"), [(1, 8), (2, 8), (2, 2), (4, 8)])
def test_several_filters_are_one_by_one_in_whichever_order_they_are_summed(count, channels):
    with jax.enable_x64(True):
        features, filters = random(0, 3, 7, 9, channels), random(1, count, 3, 3, channels)
        plainly = lambda features, filters: jnp.stack(
            [correlate_plain(features, filter) for filter in filters]
        )
        actual = value_and_gradients(correlate_all, features, filters)
        expected = value_and_gradients(plainly, features, filters)
        for ours, theirs in zip(actual, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
