"""The outer loss is that of a fit; meta-training lowers it, and ends the same when resumed."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from basics import tensors
from basics.leaves import is_part, named_leaves
from experiments.learned_optimizer import meta_training, train
from experiments.learned_optimizer.tasks.base import Problem
from experiments.learned_optimizer.tasks.functions import Quadratics
from metaopt.optimizers.orthogonal_mlp import OrthogonalMLP
from tests.experiments import programs

FAMILY = Quadratics(rows=8, shape=(4, 2))
CONFIG = meta_training.MetaTrainingConfig(
    outer_steps=4, shortest=4, longest=8, pairs=2, save_every=2, init_scale=1.0
)


class Straight(metaopt.InnerOptimizer):
    """Comes to rest at its last step, as the learned rule does, and compiles in no time."""

    steps: jax.Array
    log_rate: jax.Array
    base: jax.Array  # a second leaf that is learned

    def __init__(self, steps, rate=0.02):
        self._set(
            steps=jnp.float32(steps), log_rate=jnp.log(jnp.float32(rate)), base=jnp.float32(0.1)
        )

    def init(self, params):
        return jnp.float32(0), jax.tree.map(jnp.zeros_like, params)

    def step(self, objective, params, state, batch):
        count, mean = state
        gradient = objective.gradient(params, batch)
        mean = jax.tree.map(lambda m, g: m + self.base * (g - m), mean, gradient)
        rate = jnp.exp(self.log_rate) * (1 - count / self.steps)
        return jax.tree.map(lambda p, m: p - rate * m, params, mean), (count + 1, mean)


RULES = [Straight, pytest.param(OrthogonalMLP, marks=pytest.mark.full)]


@pytest.mark.parametrize("rule", RULES)
def test_the_outer_loss_is_that_after_a_fit(rule):
    rule, key, steps = rule(1000.0), jax.random.key(4), 7
    problem_key, _, batch_key = jax.random.split(key, 3)
    problem = FAMILY.sample(problem_key)
    keys = jax.vmap(lambda index: jax.random.fold_in(batch_key, index))(jnp.arange(steps))
    batches = jax.vmap(lambda key: FAMILY.batch(problem.context, key))(keys)
    whole = FAMILY.whole(problem.context)
    objective = metaopt.ScalarLoss(FAMILY.loss)
    known = rule.replace(steps=jnp.float32(steps))
    fitted = metaopt.fit(known, objective, problem.params, batches=batches, steps=steps)
    before = FAMILY.loss(problem.params, whole)
    expected = jnp.log(FAMILY.loss(fitted.params, whole) / before + 1e-4)
    actual = meta_training.outer_loss(rule, FAMILY, key, steps, 1.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_the_untrained_lstm_descends_at_a_tenth_of_the_gradient_and_asks_for_no_steps():
    rule = meta_training.UNTRAINED["lstm"]()
    assert meta_training.told(rule, 7) is rule
    slope = metaopt.ScalarLoss(lambda p, _: 3 * p.sum())
    after = metaopt.fit(rule, slope, jnp.ones(2), (), steps=2).params
    np.testing.assert_allclose(after, 1 - 3 * 0.2, rtol=0.05)  # the second rate is the network's


def test_initial_kernels_are_rescaled_and_vectors_are_not():
    params = {"kernel": jnp.ones((50, 2, 2)), "bias": jnp.ones(3)}
    rescale = lambda key: meta_training._rescaled(Problem(params, ()), key, 2.0).params
    scaled = jax.vmap(rescale)(jax.random.split(jax.random.key(0), 200))
    factors = np.asarray(scaled["kernel"][:, 0, 0, 0])
    assert 0.5 <= factors.min() < 0.55 and 1.9 < factors.max() <= 2
    np.testing.assert_array_equal(
        scaled["kernel"], np.broadcast_to(factors[:, None, None, None], (200, 50, 2, 2))
    )
    np.testing.assert_array_equal(scaled["bias"], np.ones((200, 3)))


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES)
def test_meta_training_lowers_the_outer_loss_and_leaves_what_is_frozen(rule):
    config = dataclasses.replace(CONFIG, outer_steps=40, learning_rate=0.03, pairs=8)
    rule = rule(1000.0, rate=0.02)
    trained = meta_training.meta_train(rule, [FAMILY], config)
    keys = jax.random.split(jax.random.key(9), 8)
    losses = jax.vmap(
        lambda rule, key: meta_training.outer_loss(rule, FAMILY, key, 8, 1.0), (None, 0)
    )
    assert losses(trained, keys).mean() < 2 * losses(rule, keys).mean() < 0
    before, after = named_leaves(rule), named_leaves(trained)
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if is_part(name, ("steps", "scheduler.0", "network"))}


@pytest.mark.parametrize("rule", RULES)
def test_the_program_goes_on_where_it_stopped(rule, tmp_path, monkeypatch):
    monkeypatch.setitem(meta_training.UNTRAINED, "orthogonal_mlp", lambda: rule(1000.0))
    monkeypatch.setattr(train, "TRAINING", {"quadratics": lambda: FAMILY})
    monkeypatch.setitem(train.PRESETS, "minutes", CONFIG)
    flags = ["--preset=minutes", "--families=quadratics"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert programs.run(train, f"--output_dir={whole}", *flags) == 0
    advance, calls = meta_training._advance, []

    def killed(*args, **kwargs):
        calls.append(None)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return advance(*args, **kwargs)

    monkeypatch.setattr(meta_training, "_advance", killed)
    assert programs.run(train, f"--output_dir={parts}", *flags) == 130
    monkeypatch.setattr(meta_training, "_advance", advance)
    assert programs.run(train, f"--output_dir={parts}", "--resume", *flags) == 0
    provenance = json.loads((parts / "provenance.json").read_text())
    assert (
        provenance["seed"] == 0 and "experiments.learned_optimizer.train" in provenance["command"]
    )
    expected = tensors.read(whole / "rule.safetensors")
    for name, leaf in tensors.read(parts / "rule.safetensors").items():
        np.testing.assert_array_equal(leaf, expected[name])
    lines = (parts / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 4
