"""Windows and shifted sums: by their definition, each the other's transpose, in every mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from models.layers.shifts import shifted_sum, windows

CASES = [(3, 1), (4, 2), (5, 2), (4, 0), (1, 0), (2, 3)]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("taps", "padding"), CASES)
def test_a_window_is_of_neighbours_with_zeros_beyond_the_ends(taps, padding):
    x = random(2, 7, 3, 4).astype(np.float32)
    padded = np.pad(x, ((0, 0), (padding, padding), (0, 0), (0, 0)))
    length = 7 + 2 * padding - taps + 1
    expected = np.stack([padded[:, j : j + length] for j in range(taps)], -2)
    np.testing.assert_array_equal(windows(jnp.asarray(x), -3, taps, padding), expected)


@pytest.mark.parametrize(("taps", "padding"), CASES)
def test_a_shifted_sum_takes_each_tap_so_much_further(taps, padding):
    y = random(2, 7, 3, taps, 4).astype(np.float32)
    padded = np.pad(y, ((0, 0), (padding, padding), (0, 0), (0, 0), (0, 0)))
    length = 7 + 2 * padding - taps + 1
    expected = sum(padded[:, j : j + length, :, j] for j in range(taps))
    np.testing.assert_allclose(
        shifted_sum(jnp.asarray(y), -3, padding), expected, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(("taps", "padding"), CASES)
@pytest.mark.parametrize("axis", [-3, -2])
def test_derivatives_of_both_are_those_of_differences_in_both_modes(taps, padding, axis):
    with jax.enable_x64(True):
        x, y = jnp.asarray(random(2, 5, 4, 3)), jnp.asarray(random(2, 5, 4, taps, 3))
        check_grads(
            lambda x: windows(jnp.asarray(x), axis, taps, padding) ** 2, (x,), 2, ["fwd", "rev"]
        )
        check_grads(
            lambda y: shifted_sum(jnp.asarray(y), axis, padding) ** 2, (y,), 2, ["fwd", "rev"]
        )


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_a_batch_is_one_by_one(axis):
    x = jnp.asarray(random(3, 4, 5, 6), jnp.float32)
    one = lambda x: shifted_sum(windows(x, -2, 3, 1), -2, 0)
    expected = jnp.stack([one(part) for part in jnp.moveaxis(x, axis, 0)])
    np.testing.assert_array_equal(jax.vmap(one, axis)(x), expected)


def test_the_backward_pass_of_one_is_the_other_and_pads_nothing_twice():
    gradient = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(windows(x, -2, 5, 2) ** 2)))
    names = [str(equation.primitive) for equation in gradient(jnp.ones((8, 3))).eqns]
    assert names.count("shifted_sum") == 1 and "pad" not in names
