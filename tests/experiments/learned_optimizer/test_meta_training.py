"""The outer gradient is that of the last steps; a resumed meta-training ends the same."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from basics import tensors
from basics.leaves import named_leaves
from experiments.learned_optimizer import meta_training, train
from experiments.learned_optimizer.tasks.functions import Quadratics
from metaopt.optimizers.orthogonal_mlp import OrthogonalMLP
from tests.experiments import programs

FAMILY = Quadratics(rows=8, shape=(4, 2))
CONFIG = meta_training.MetaTrainingConfig(
    outer_steps=4, shortest=4, longest=8, window=4, problems=2, save_every=2, init_scale=1.0
)


class Straight(metaopt.InnerOptimizer):
    """Comes to rest at its last step, as the learned rule does, and compiles in no time.

    What it remembers, the mean of the gradients, is no constant to the outer gradient either.
    """

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
@pytest.mark.parametrize("steps", [3, pytest.param(7, marks=pytest.mark.full)])
def test_the_outer_gradient_is_that_of_a_fit_truncated_to_its_last_steps(steps, rule):
    rule, key = rule(1000.0), jax.random.key(4)

    def by_fit(rule):
        rule = rule.replace(steps=jnp.float32(steps))
        problem_key, _, batch_key = jax.random.split(key, 3)
        problem = FAMILY.sample(problem_key)
        keys = jax.vmap(lambda index: jax.random.fold_in(batch_key, index))(jnp.arange(steps))
        batches = jax.vmap(lambda key: FAMILY.batch(problem.context, key))(keys)
        whole = FAMILY.whole(problem.context)
        fitted = metaopt.fit(
            rule,
            metaopt.ScalarLoss(FAMILY.loss),
            problem.params,
            batches=batches,
            steps=steps,
            adjoint=metaopt.Truncated(4),
        )
        before = FAMILY.loss(problem.params, whole)
        return jnp.log(FAMILY.loss(fitted.params, whole) / before + 1e-4)

    ours = lambda rule: meta_training.outer_loss(rule, FAMILY, key, steps, 4, CONFIG)
    expected = jax.jit(jax.value_and_grad(by_fit))(rule)
    actual = jax.jit(jax.value_and_grad(ours))(rule)
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-4)
    for name, leaf in named_leaves(expected[1]).items():
        found = named_leaves(actual[1])[name]
        np.testing.assert_allclose(found, leaf, rtol=1e-2, atol=1e-4, err_msg=name)


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES)
def test_meta_training_lowers_the_outer_loss_and_leaves_the_steps(rule):
    config = dataclasses.replace(CONFIG, outer_steps=40, learning_rate=0.03, problems=4)
    rule = rule(1000.0, rate=0.02)
    trained = meta_training.meta_train(rule, [FAMILY], config)
    keys = jax.random.split(jax.random.key(9), 8)
    judge = jax.jit(
        lambda rule: jax.vmap(
            lambda key: meta_training.outer_loss(rule, FAMILY, key, 8, 4, CONFIG)
        )(keys).mean()
    )
    assert judge(trained) < judge(rule) - 0.1
    assert trained.steps == 1000


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES)
def test_a_steep_problem_counts_less(rule):
    state = metaopt.OuterState.create(
        {"base": rule(9.0).base}, meta_training._transformation(0.0, 1.0)
    )
    keys = jax.random.split(jax.random.key(0), 2)
    for steep, weight in ((1e9, 1.0), (1e-3, None)):
        config = dataclasses.replace(CONFIG, steep=steep)
        _, metrics = meta_training._advance(
            state, rule(9.0), FAMILY, keys, 6, 4, 0.0, config=config
        )
        if weight:
            assert metrics["weight"] == weight
            norm = metrics["gradient_norm"]
        else:
            assert metrics["weight"] < 0.01 and metrics["gradient_norm"] < 1e-2 * norm


@pytest.mark.parametrize("rule", RULES)
def test_the_program_goes_on_where_it_stopped(rule, tmp_path, monkeypatch):
    monkeypatch.setattr(metaopt, "OrthogonalMLP", rule)
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
    expected = tensors.read(whole / "rule.safetensors")
    for name, leaf in tensors.read(parts / "rule.safetensors").items():
        np.testing.assert_array_equal(leaf, expected[name])
    lines = (parts / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 4
