import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import metaopt
from models import FewShotClassifier, convolve
from models.heads import few_shot
from models.layers import convolution
from tests.products import chosen, covering


def plain_convolve(x, kernel):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def plain_classifier(model, x):
    """The network as its definition reads."""
    for block in model.blocks:
        x = plain_convolve(x, block.kernel[...])
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        x = (x - mean) / jnp.sqrt(variance + 1e-5) * block.scale[...] + block.offset[...]
        windows = (1, 2, 2, 1)
        x = lax.reduce_window(jax.nn.relu(x), -jnp.inf, lax.max, windows, windows, "VALID")
    return x.reshape(len(x), -1) @ model.kernel[...] + model.bias[...]


def random(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def third_derivative(function, x, kernel):
    """Reverse over reverse over reverse, by both arguments, of a function that is not quadratic."""
    outer = lambda x, kernel: jnp.sum(jnp.sin(function(x, kernel)))
    squared = lambda f: lambda *a: sum(jnp.sum(g**2) for g in jax.grad(f, (0, 1))(*a))
    return jax.grad(squared(squared(outer)), (0, 1))(x, kernel)


def forward_over_reverse(function, x, kernel):
    slope = jax.grad(lambda *a: jnp.sum(jnp.sin(function(*a))), (0, 1))
    return jax.jvp(slope, (x, kernel), (jnp.cos(x), jnp.cos(kernel)))[1]


DERIVATIVES = {
    "value": lambda f, *a: f(*a),
    "forward over reverse": forward_over_reverse,
    "third": third_derivative,
}
AXES = [(0, 0), (1, None), (None, 2), (3, 4)]


@pytest.mark.parametrize(
    ("shape", "derivative"),
    covering(itertools.product([(2, 4, 5, 3), (7, 3, 3, 1), (1, 1, 1, 2)], DERIVATIVES)),
)
def test_convolution_and_its_derivatives_are_those_of_lax(shape, derivative):
    derivative = DERIVATIVES[derivative]
    with jax.enable_x64(True):
        x, kernel = random(0, *shape), 0.3 * random(1, 3, 3, shape[-1], 4)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9),
            *jax.jit(lambda *a: [derivative(f, *a) for f in (convolve, plain_convolve)])(x, kernel),
        )


@pytest.mark.parametrize(("axes",), chosen(zip(AXES), [(AXES[0],)]))
def test_convolution_maps_over_inputs_and_kernels(axes):
    x = (
        random(0, 2, 4, 5, 3)
        if axes[0] is None
        else jnp.moveaxis(random(0, 6, 2, 4, 5, 3), 0, axes[0])
    )
    kernel = random(1, 3, 3, 3, 4)
    if axes[1] is not None:
        kernel = jnp.moveaxis(random(1, 6, 3, 3, 3, 4), 0, axes[1])
    for derivative in (lambda f, *a: f(*a), forward_over_reverse):
        ours, plain = (
            jax.jit(jax.vmap(functools.partial(derivative, f), axes))(x, kernel)
            for f in (convolve, plain_convolve)
        )
        close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4)
        jax.tree.map(close, ours, plain)


def test_convolution_in_single_precision():
    x, kernel = random(0, 5, 14, 14, 64), random(1, 3, 3, 64, 64) / 24
    np.testing.assert_allclose(convolve(x, kernel), plain_convolve(x, kernel), atol=1e-5)


@pytest.mark.parametrize(("n", "parts"), [(6, 2), (7, 7), (3, 1)])
def test_the_gradient_by_the_kernel_is_summed_over_parts_that_fit_the_cache(n, parts):
    x, g = random(0, n, 16, 18, 16), random(1, n, 16, 18, 4)
    assert n / convolution.equal_parts(n, convolution._TERMS // (16 * 18)) == parts
    gradient = lambda f: jax.vjp(functools.partial(f, x), jnp.zeros((3, 3, 16, 4)))[1](g)[0]
    scale = np.sqrt(n * 16 * 18)
    np.testing.assert_allclose(
        gradient(convolve) / scale, gradient(plain_convolve) / scale, atol=1e-5
    )


@pytest.mark.parametrize(
    ("count", "most", "size"), [(75, 5, 5), (75, 6, 5), (7, 6, 1), (4, 0, 1), (4, 9, 4)]
)
def test_parts_are_equal(count, most, size):
    assert convolution.equal_parts(count, most) == size


def test_no_derivative_is_another_form_of_convolution():
    x, kernel = random(0, 2, 4, 5, 3), random(1, 3, 3, 3, 4)
    program = str(jax.make_jaxpr(functools.partial(third_derivative, convolve))(x, kernel))
    assert "conv_general_dilated" not in program
    assert "= convolve " in program
    assert "= convolve_kernel_gradient " in program


def small_classifier(dtype=jnp.float32, image_shape=(11, 8, 2), filters=(3, 4)):
    model = FewShotClassifier(5, image_shape=image_shape, filters=filters, key=jax.random.key(0))
    for seed, block in enumerate(model.blocks):  # with falling and flat channels
        block.scale[...] = random(10 + seed, len(block.scale[...])).at[0].set(-0.5)
        block.offset[...] = 0.3 * random(20 + seed, len(block.offset[...]))
    model.bias[...] = random(30, 5)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), model)


def loss(network, model, x):
    labels = jnp.arange(len(x)) % 5
    logits = network(model, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def second_derivative(network, model, x):
    slope = jax.grad(functools.partial(loss, network))
    return jax.grad(lambda m: optax.tree.norm(slope(m, x), squared=True))(model)


def first_derivative(network, model, x):
    return jax.grad(functools.partial(loss, network), (0, 1))(model, x)


@pytest.mark.parametrize(
    ("derivative", "at_once"),
    [
        (lambda network, model, x: network(model, x), 6),
        (first_derivative, 6),
        (first_derivative, 2),
        pytest.param(second_derivative, 6, marks=pytest.mark.full),
        pytest.param(second_derivative, 3, marks=pytest.mark.full),
    ],
    ids=["logits", "gradient", "gradient, in parts", "second", "second, in parts"],
)
def test_classifier_is_the_network_of_its_definition(derivative, at_once, monkeypatch):
    monkeypatch.setattr(few_shot, "_CACHE", at_once * 11 * 8 * 3 * 8)
    with jax.enable_x64(True):
        model, x = small_classifier(jnp.float64), 2 + random(1, 6, 11, 8, 2)
        networks = (lambda model, x: model(x)), plain_classifier
        ours, plain = (
            jax.jit(functools.partial(derivative, network))(model, x) for network in networks
        )
        close = functools.partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-9)
        jax.tree.map(close, ours, plain)


@pytest.mark.full
def test_classifier_in_single_precision():
    model = FewShotClassifier(5, key=jax.random.key(0))
    x = random(1, 5, 28, 28, 1)
    np.testing.assert_allclose(model(x), plain_classifier(model, x), rtol=1e-4, atol=1e-5)
    sizes = [block.kernel[...].shape for block in model.blocks]
    assert sizes == [(3, 3, 1, 64)] + [(3, 3, 64, 64)] * 3
    assert model.kernel[...].shape == (64, 5)


def test_logits_follow_the_images_and_ignore_their_contrast():
    model, x = jax.jit(small_classifier()), np.asarray(random(1, 6, 11, 8, 2))
    order = np.array([3, 1, 5, 0, 2, 4])
    np.testing.assert_allclose(model(x[order]), model(x)[order], atol=1e-5)
    np.testing.assert_allclose(model(7 * x), model(x), atol=1e-3)
    assert np.abs(model(x[:3]) - model(x)[:3]).max() > 0.01  # the batch's statistics


@pytest.mark.full
def test_the_first_step_of_a_fit_is_down_the_gradient():
    model, x = small_classifier(), random(1, 6, 11, 8, 2)
    function = lambda model, x: loss(lambda model, x: model(x), model, x)
    rule = metaopt.GradientDescent(optax.sgd(0.1))
    fitted = metaopt.fit(rule, metaopt.ScalarLoss(function), model, x, steps=1).params
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, model, jax.grad(function)(model, x))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), fitted, expected)


def test_an_image_too_small_to_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"8x7 cannot be halved 3 times"):
        FewShotClassifier(5, image_shape=(8, 7, 1), filters=(4, 4, 4), key=jax.random.key(0))
