import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from models.layers.fast_convolutions import (
    DepthwiseConv,
    NarrowConv,
    PointwiseConv,
    depthwise_conv,
    fold_batch_norm,
    narrow_conv,
    pointwise_conv,
    same_padding,
)
from tests.products import chosen


def lax_conv(x, kernel, stride, padding, groups=1):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def random(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "shape", "stride", "padding"),
    chosen(
        itertools.product((3, 5), ((9, 12), (8, 7)), (1, 2), ("SAME", "VALID")),
        [
            (3, (9, 12), 1, "SAME"),
            (3, (8, 7), 2, "SAME"),
            (3, (8, 7), 2, "VALID"),
            (5, (9, 12), 2, "SAME"),
        ],
    ),
)
def test_depthwise_conv_and_its_gradients(size, shape, stride, padding):
    x, kernel = random(0, 2, *shape, 6), random(1, size, size, 6)

    def grouped(x, kernel):
        return lax_conv(x, kernel[:, :, None], stride, padding, groups=6)

    @functools.partial(jax.jit, static_argnums=0)
    def value_and_gradients(conv, x, kernel):
        value, vjp = jax.vjp(conv, x, kernel)
        return value, *vjp(jnp.cos(jnp.arange(value.size)).reshape(value.shape))

    actual = value_and_gradients(lambda x, k: depthwise_conv(x, k, stride, padding), x, kernel)
    for ours, theirs in zip(actual, value_and_gradients(grouped, x, kernel), strict=True):
        assert_close(ours, theirs)


def test_depthwise_conv_keeps_the_dtype():
    x = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    assert depthwise_conv(x, jnp.ones((3, 3, 2), jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_narrow_conv_and_its_derivatives(stride, padding):
    x, kernel = random(0, 2, 9, 12, 3), random(1, 3, 3, 3, 4)
    dx, dkernel = random(2, *x.shape), random(3, *kernel.shape)

    def ways(conv, x, kernel):
        convolve = lambda x, kernel: conv(x, kernel, stride, padding)
        value, derivative = jax.jvp(convolve, (x, kernel), (dx, dkernel))
        loss = lambda x, kernel: jnp.sum(convolve(x, kernel) ** 3)
        by_kernel = jax.grad(lambda kernel: loss(x, kernel))
        return (
            value,
            derivative,
            jax.grad(loss)(x, kernel),  # by the images alone
            by_kernel(kernel),
            jax.jvp(by_kernel, (kernel,), (dkernel,))[1],  # of the second order
        )

    for ours, theirs in zip(
        jax.jit(ways, static_argnums=0)(narrow_conv, x, kernel),
        jax.jit(ways, static_argnums=0)(lax_conv, x, kernel),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 * jnp.abs(theirs).max())


def test_pointwise_conv():
    x, kernel = random(0, 2, 5, 4, 3), random(1, 3, 7)
    assert_close(pointwise_conv(x, kernel), lax_conv(x, kernel[None, None], 1, "VALID"))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(8, 3, 1, (1, 1)), (8, 3, 2, (0, 1)), (9, 3, 2, (1, 1)), (8, 5, 2, (1, 2)), (9, 5, 2, (2, 2))],
)
def test_same_padding_is_tensorflows(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


def test_folded_batch_norm_is_convolution_then_batch_norm():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 4, 4, 3)), rng.normal(size=(3, 5))
    scale, offset, mean = rng.normal(size=(3, 5))
    variance = rng.uniform(0.5, 2, 5)
    folded, bias = fold_batch_norm(kernel, scale, offset, mean, variance, 1e-3)
    expected = (x @ kernel - mean) / np.sqrt(variance + 1e-3) * scale + offset
    np.testing.assert_allclose(x @ folded + bias, expected, rtol=1e-12)


def test_modules_add_their_bias():
    x, bias = random(0, 1, 6, 6, 3), np.array([1.0, -2.0, 3.0], np.float32)
    dense = np.asarray(random(1, 3, 3, 3, 3))
    assert_close(NarrowConv(dense, bias, 2)(x), narrow_conv(x, jnp.asarray(dense), 2) + bias)
    channelwise = dense[:, :, 0]
    expected = depthwise_conv(x, jnp.asarray(channelwise), 2) + bias
    assert_close(DepthwiseConv(channelwise, bias, 2)(x), expected)
    assert_close(PointwiseConv(dense[0, 0], bias)(x), x @ dense[0, 0] + bias)
