"""Every method on every task: it can be meta-trained, and fits new episodes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from basics.leaves import is_part, named_leaves
from experiments.few_shot import evaluation, tasks, training
from experiments.few_shot.methods import METHODS
from tests.experiments.few_shot import data
from tests.products import chosen

PAPERS = [
    "maml", "first_order_maml", "implicit_maml", "meta_sgd", "per_step_rates", "lstm",
    "gradient_network", "steepest_descent", "ridge",
]  # fmt: skip
STEPS = 2


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A task by its name, as small as it can be."""
    folder = tmp_path_factory.mktemp("data")
    data.omniglot_zip(folder / "images_background_small1.zip", "ABCD", characters=4)
    data.mini_imagenet(folder, "listed")
    sizes = {"ways": 2, "shots": 1, "queries": 2}

    @functools.cache
    def make(name):
        if name == "sinusoid":
            return tasks.create(name, shots=3)
        folders = {} if name == "digits" else {"data_dir": str(folder)}
        return tasks.create(name, **sizes, **folders).replace(filters=(3,))

    return make


def learner(method, task):
    return METHODS[method].learner(task, jax.random.key(1), STEPS)


def test_the_methods_are_those_of_papers_and_all_rules_of_metaopt():
    assert set(METHODS) >= {*PAPERS, *metaopt.optimizers.names()}


# One method; the others are traced below.
@pytest.mark.parametrize(
    ("name", "method"),
    chosen(
        [("sinusoid", method) for method in PAPERS] + [("digits", "maml"), ("digits", "ridge")],
        default=[("sinusoid", "maml")],
    ),
)
def test_a_small_step_along_the_outer_gradient_lowers_the_outer_loss(task, name, method):
    task = task(name)
    episode = jax.jit(lambda key: task.sample(key, training=True))(jax.random.key(2))
    outer_loss = lambda learner: learner.outer_loss(task, episode)[0]
    value_and_gradient = jax.jit(jax.value_and_grad(outer_loss))
    start = learner(method, task)
    before, gradient = value_and_gradient(start)
    length = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient)))
    assert jnp.isfinite(length) and length > 0
    expected = 1e-3 * length
    moved = jax.tree.map(lambda leaf, g: leaf - 1e-3 * g / length, start, gradient)
    after, _ = value_and_gradient(moved)
    # An approximate gradient does not tell the size of the fall.
    approximate = METHODS[method].adjoint is not METHODS["maml"].adjoint
    assert (0.02 if approximate else 0.8) * expected < before - after < 1.2 * expected


@pytest.mark.parametrize(
    ("name", "method"),
    chosen(
        [("sinusoid", method) for method in METHODS if method not in PAPERS]
        + [(name, method) for name in ("digits", "omniglot", "mini_imagenet") for method in PAPERS],
        default=[
            ("sinusoid", "gru"),
            ("digits", "first_order_maml"),
            ("digits", "ridge"),
            ("omniglot", "maml"),
            ("mini_imagenet", "maml"),
        ],
    ),
)
def test_the_other_rules_and_tasks_fit_together(task, name, method):
    """Traced, not compiled: shapes and types agree from the episode to the score."""
    one = task(name)

    def outer(learner, key):
        return learner.outer_loss(one, one.sample(key, training=True))

    loss, metrics = jax.eval_shape(outer, learner(method, one), jax.random.key(0))
    assert loss.shape == metrics["score"].shape == ()


def test_ridge_reaches_what_steepest_descent_approaches(task):
    """They fit the same head to the same features by the same objective."""
    chosen = task("sinusoid")
    episodes = {"episodes": 20, "seed": 3, "label": "test"}
    at_once = evaluation.evaluate(learner("ridge", chosen), chosen, steps=1, **episodes)
    in_steps = evaluation.evaluate(
        learner("steepest_descent", chosen), chosen, steps=300, **episodes
    )
    np.testing.assert_allclose(at_once.losses[:, 0], in_steps.losses[:, 0], rtol=1e-5)
    np.testing.assert_allclose(at_once.losses[:, -1], in_steps.losses[:, -1], rtol=1e-2, atol=1e-3)
    np.testing.assert_array_equal(at_once.losses, at_once.scores)


CONFIG = training.TrainingConfig(
    outer_steps=40, episodes=3, log_every=20, save_every=20, learning_rate=1e-2, frozen=("rule",)
)


@pytest.mark.full
def test_training_learns_but_for_what_is_frozen_and_resumes_bit_for_bit(task, tmp_path):
    chosen = task("sinusoid")
    start = learner("gradient_descent", chosen)
    whole = training.train(start, chosen, CONFIG, tmp_path / "whole")

    class Killed(Exception):
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(chosen), "stride", 20)
        in_parts = training.train(start, chosen, CONFIG)
        advance = training._advance

        def stop(transformation, episodes, stride, state, *others):
            if int(state.step) == 20:
                raise Killed
            return advance(transformation, episodes, stride, state, *others)

        patch.setattr(training, "_advance", stop)
        with pytest.raises(Killed):
            training.train(start, chosen, CONFIG, tmp_path / "killed")
        patch.setattr(training, "_advance", advance)
        resumed = training.train(start, chosen, CONFIG, tmp_path / "killed", resume=True)
    for name, leaf in named_leaves(resumed).items():
        np.testing.assert_array_equal(leaf, named_leaves(in_parts)[name])
        np.testing.assert_allclose(leaf, named_leaves(whole)[name], rtol=1e-4, atol=1e-5)
        same = np.array_equal(leaf, named_leaves(start)[name])
        assert same == is_part(name, CONFIG.frozen), name
