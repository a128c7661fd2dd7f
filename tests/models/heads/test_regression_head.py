"""The fused levels of DSLT and the filters on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.heads.regression_head import FUSIONS, RegressionHead, coverage

FINE, COARSE = (
    jnp.asarray(np.random.default_rng(seed).normal(size=(2, 5, 6, channels)), jnp.float32)
    for seed, channels in ((0, 4), (1, 7))
)
EXPECTED = {
    "residual": lambda f, c: [f + c, c],
    "features": lambda f, c: [f + c],
    "responses": lambda f, c: [f, c],
    "fine": lambda f, c: [f],
    "coarse": lambda f, c: [c],
}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_response_is_the_sum_of_those_to_each_map(fusion):
    head = RegressionHead.create(jax.random.key(0), (4, 7), 3, 3, fusion)
    expected = EXPECTED[fusion](FINE @ head.fine, COARSE @ head.coarse)
    maps = jax.jit(head.maps, static_argnums=1)((FINE, COARSE), fusion)
    np.testing.assert_allclose(maps, jnp.concatenate(expected, -1), rtol=1e-5)

    random = np.random.default_rng(2)
    filters = random.normal(size=head.filters.shape).astype(np.float32)
    assert filters.shape == (3, 3, 3 * len(expected))
    filtered = head.replace(filters=jnp.asarray(filters))
    response = jax.jit(filtered.response)(maps, jnp.full(2, 3.0))
    padded = np.pad(np.concatenate(expected, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    by_hand = np.einsum("nhwcij,ijc->nhw", windows, filters) / filters.size**0.5
    np.testing.assert_allclose(response, by_hand, atol=1e-5)


def test_an_untrained_head_keeps_the_scale_of_features_and_responds_with_zero():
    head = RegressionHead.create(jax.random.key(0), (400, 700), 300, 3, "responses")
    features = jax.random.normal(jax.random.key(1), (1, 4, 4, 700))
    maps = head.maps((features[..., :400], features), "responses")
    np.testing.assert_allclose(jnp.mean(maps**2), 1, rtol=0.1)
    assert not head.response(maps, jnp.full(2, 3.0)).any()


@pytest.mark.parametrize(
    ("target", "across", "down"),
    [
        ((3.0, 1.0), [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]),
        ((9.0, 2.0), [1, 1, 1, 1, 1], [0, 0.5, 1, 0.5, 0]),
        ((0.5, 4.5), [0, 0, 0.5, 0, 0], [0.75, 1, 1, 1, 0.75]),
    ],
)
def test_a_filter_covers_its_target(target, across, down):
    covered = coverage(jnp.array(target), 5)
    np.testing.assert_allclose(covered, np.outer(down, across), atol=1e-6)


def test_what_is_not_covered_neither_responds_nor_learns():
    maps = jnp.asarray(np.random.default_rng(3).normal(size=(1, 7, 7, 2)), jnp.float32)
    head = RegressionHead(jnp.zeros((1, 1)), jnp.zeros((1, 1)), jnp.ones((5, 5, 2)))
    respond = lambda filters: head.replace(filters=filters).response(maps, jnp.array([1.0, 3.0]))
    response = jax.jit(respond)
    inside = np.full((5, 5, 2), 9, np.float32)
    inside[1:4, 2] = 1
    np.testing.assert_array_equal(response(jnp.asarray(inside)), response(head.filters))
    slope = jax.jit(jax.grad(lambda filters: jnp.sum(respond(filters) ** 2)))(head.filters)
    slope = np.array(slope)
    assert np.abs(slope[1:4, 2]).min() > 0
    slope[1:4, 2] = 0
    assert not slope.any()
