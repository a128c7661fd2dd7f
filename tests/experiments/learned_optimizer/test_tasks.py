"""The families: their losses where they are known, and what a problem holds."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from basics.errors import InputError
from experiments.learned_optimizer import tasks
from experiments.learned_optimizer.tasks import functions, images, text
from experiments.learned_optimizer.tasks.base import apply_layers, initial_layers
from tests.products import chosen

ALL = {**tasks.TRAINING, **tasks.HELD_OUT}


def test_no_family_is_both_trained_on_and_held_out():
    assert not set(tasks.TRAINING) & set(tasks.HELD_OUT)
    assert not set(images.TRAINING_PHOTOS) & set(images.OTHER_PHOTOS)
    assert len(tasks.HELD_OUT) >= 6


# One of each module but the heads, which see their target below.
TAKEN = [("digits",), ("patches",), ("characters",), ("rosenbrock",)]


@pytest.mark.parametrize(("name",), chosen(zip(ALL), TAKEN))
def test_problems_follow_from_their_key_and_start_at_the_loss_of_chance(name):
    family = ALL[name]()
    sample, loss = jax.jit(family.sample), jax.jit(family.loss)
    problem, other = sample(jax.random.key(3)), sample(jax.random.key(4))
    again = sample(jax.random.key(3))
    assert jax.tree.all(jax.tree.map(np.array_equal, problem, again))
    pairs = zip(jax.tree.leaves(problem), jax.tree.leaves(other), strict=True)
    assert not all(itertools.starmap(np.array_equal, pairs))
    whole = loss(problem.params, family.whole(problem.context))
    classes = {"digits": 10, "digits_convolutional": 10, "patches": 10, "other_patches": 8}
    if name in classes:
        np.testing.assert_allclose(whole, np.log(classes[name]), rtol=0.15)
    batch = jax.jit(family.batch)(problem.context, jax.random.key(5))
    assert jnp.isfinite(loss(problem.params, batch)) and whole > 0


def test_layers_by_hand():
    layers = [
        {"kernel": jnp.array([[1.0, -1.0]]), "bias": jnp.array([0.5, 0.0]), "gain": jnp.ones(2)},
        {"kernel": jnp.array([[2.0], [3.0]]), "bias": jnp.array([1.0])},
    ]
    # 4 makes (4, -4), normalized (1, -1), with the bias (1.5, -1); ReLU; 2 * 1.5 + 1.
    np.testing.assert_allclose(apply_layers(layers, jnp.array([[4.0]])), [[4.0]], rtol=1e-5)
    plain = [{key: layer[key] for key in ("kernel", "bias")} for layer in layers]
    np.testing.assert_allclose(apply_layers(plain, jnp.array([[4.0]])), [[10.0]], rtol=1e-6)
    kernel = initial_layers(jax.random.key(0), (400, 50), layer_norm=True)[0]["kernel"]
    np.testing.assert_allclose([kernel.max(), kernel.std()], [0.05, 0.05 / 3**0.5], rtol=0.02)


def test_the_convolutional_network_convolves():
    family = images.convolutional_digits((2, 3))
    params = jax.jit(family.sample)(jax.random.key(0)).params
    inputs = family.inputs[:4]

    @jax.jit
    def convolved(params, inputs):
        x = inputs.reshape(4, 8, 8, 1)
        for layer in params[:-1]:
            kernel = layer["kernel"].reshape(3, 3, x.shape[-1], -1)
            x = jax.lax.conv_general_dilated(
                x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + layer["bias"])
        return x.reshape(4, -1) @ params[-1]["kernel"] + params[-1]["bias"]

    found = jax.jit(family.outputs)(params, inputs)
    np.testing.assert_allclose(found, convolved(params, inputs), rtol=1e-4, atol=1e-5)


def test_characters_follow_one_another():
    family = text.Characters(jnp.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]), 3)
    before, following = jax.jit(family.batch)((), jax.random.key(0))
    np.testing.assert_array_equal(following, (before[:, -1] + 1) % 3)
    assert before.shape == (64, 6)


def test_the_text_of_training_is_not_the_one_that_is_held_out():
    help_, descriptions = text.topics(), text.descriptions()
    assert help_.known != descriptions.known and len(help_.text) > 100_000
    starts = [jax.eval_shape(family.sample, jax.random.key(0)) for family in (help_, descriptions)]
    params = [start.params for start in starts]
    assert [p["embedding"].shape[1] for p in params] == [6, 8]
    assert [p["layers"][0]["bias"].size for p in params] == [24, 32]


def test_functions_at_their_minima():
    valley = functions.Rosenbrock()
    assert valley.loss(jnp.ones(10), ()) == 0
    np.testing.assert_allclose(valley.loss(jnp.array([2.0, 3.0]), ()), 100 * 1 + 1)
    family = functions.Quadratics(noise=0.0)
    start, (inputs, targets) = jax.jit(family.sample)(jax.random.key(0))
    best = jnp.asarray(np.linalg.lstsq(inputs, targets)[0])
    loss = jax.jit(family.loss)
    assert loss(best, (inputs, targets)) < 1e-8 < loss(start, (inputs, targets))
    spread = np.linalg.norm(inputs, axis=0)
    np.testing.assert_allclose(spread[-1] / spread[0], family.condition, rtol=0.5)
    waves = functions.SineWaves()
    x, y = jax.jit(waves.batch)((2.0, 0.5), jax.random.key(0))
    np.testing.assert_allclose(y, 2 * np.sin(x - 0.5), rtol=1e-5)


def test_the_curves_and_the_valley_of_training():
    numbers = tuple(map(jnp.array, ([3.0, -1.0], [0.0, 2.0], [0.5, 1.5])))
    x, y = map(np.asarray, jax.jit(functions.Bumps().whole)(numbers))
    expected = 3 * np.exp(-2 * x**2) - np.exp(-((x - 2) ** 2) / 4.5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)
    heights, places, widths = jax.jit(functions.Bumps().sample)(jax.random.key(0)).context
    assert heights.shape == (4,) and abs(places).max() < 5 and widths.min() >= 0.5
    valley = functions.DixonPrice()
    index = np.arange(1, 11)
    best = 2.0 ** -((2.0**index - 2) / 2.0**index)
    loss = jax.jit(valley.loss)
    np.testing.assert_allclose(loss(jnp.asarray(best), ()), 0, atol=1e-10)
    np.testing.assert_allclose(loss(jnp.ones(10), ()), sum(range(2, 11)))


def test_patches_are_learned_by_adam():
    family = tasks.TRAINING["patches"]()
    params, adam = jax.jit(family.sample)(jax.random.key(0)).params, optax.adam(0.02)
    loss = jax.jit(lambda params: family.loss(params, family.whole(())))

    def step(carry, key):
        params, state = carry
        updates, state = adam.update(jax.grad(family.loss)(params, family.batch((), key)), state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(1), 100)
    train = jax.jit(lambda params: jax.lax.scan(step, (params, adam.init(params)), keys))
    (after, _), _ = train(params)
    assert loss(after) < 0.75 * loss(params)


@pytest.mark.parametrize("name", [pytest.param("roam_head", marks=pytest.mark.full), "dslt_head"])
def test_a_head_sees_the_target_where_its_label_is(name):
    family = tasks.HELD_OUT[name]()
    problem = jax.jit(family.sample)(jax.random.key(1))
    photo, (y, x) = problem.context
    fine, coarse, labels = jax.jit(family.batch)(problem.context, jax.random.key(2))
    for seen, level in ((fine, family.fine), (coarse, family.coarse)):
        for one, label in zip(seen, labels, strict=True):
            row, column = np.unravel_index(label.argmax(), label.shape)
            np.testing.assert_array_equal(one[row, column], level[photo, y, x])
    # Filters start at zero, so that the loss is the mean square of the labels.
    loss = jax.jit(family.loss)(problem.params, (fine, coarse, labels))
    np.testing.assert_allclose(loss, jnp.mean(labels**2), rtol=1e-5)


def test_omniglot_needs_its_files(tmp_path):
    with pytest.raises(InputError, match=r"no images_\*.zip"):
        images.omniglot(str(tmp_path), 14, (8,))
