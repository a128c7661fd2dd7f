"""The outer loss of a rule that trains networks, and its descent by evolution strategies."""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key, PyTree, Scalar

import metaopt
from basics.leaves import with_leaves
from experiments.learned_optimizer.tasks.base import Family, Problem
from experiments.meta_training import outer_loop

Rule = TypeVar("Rule", bound=metaopt.InnerOptimizer)

_RATE = 0.12  # of the untrained rule, relative to the parameters' scale
_FLOOR = 1e-4  # of the relative loss: below it a training counts as solved
# What stays as it is: the scheduler's random hidden units, so that an estimate of the gradient has
# fewer directions; and the network a coordinate. Perturbed with the rest by 0.05, rules ended the
# first problems of seed 0 (497 steps) at a mean outer loss of 0.16; without it, by 0.1, at -1.35.
# The orthogonal part probably makes the mean of its corrections as large as the descent itself.
_FROZEN = ("steps", "scheduler.0", "network")


@dataclasses.dataclass(frozen=True)
class MetaTrainingConfig(outer_loop.LoopConfig):
    """The constants of a meta-training, beside those of any outer loop.

    Attributes:
        shortest: steps of a training; how many is drawn log-uniformly at each outer step.
        longest: likewise.
        problems: of one family, side by side in an outer step; families take turns.
        pairs: antithetic pairs of rules that train each problem.
        sigma: the standard deviation of the rules' leaves about their mean.
        learning_rate: of Adam at first; it falls to 0 along half a cosine.
        init_scale: initial kernels are multiplied by up to this or divided by it.
        seed: of everything random.
    """

    shortest: int = 64
    longest: int = 2048
    problems: int = 2
    pairs: int = 8
    sigma: float = 0.1
    learning_rate: float = 0.02
    init_scale: float = 2.0
    seed: int = 0


# The rules that a meta-training starts from. The LSTM's is gradient descent at a rate of 0.1.
UNTRAINED: Mapping[str, Callable[[], metaopt.InnerOptimizer]] = {
    "orthogonal_mlp": lambda: metaopt.OrthogonalMLP(1000.0, rate=_RATE),
    "lstm": lambda: metaopt.CoordinatewiseRNN("lstm", bias=math.log(0.1 / 0.9)),
}


def told(rule: Rule, steps: float | Array) -> Rule:
    """The rule that knows how long a training will be, if it is one that asks."""
    return rule.replace(steps=jnp.asarray(steps, jnp.float32)) if hasattr(rule, "steps") else rule


def meta_train(
    rule: Rule,
    families: list[Family],
    config: MetaTrainingConfig,
    folder: pathlib.Path | None = None,
    *,
    resume: bool = False,
) -> Rule:
    """Meta-trains a rule; of `OrthogonalMLP` the scheduler's last layer, the decays and the rates.

    Each outer step's problems follow from the seed and its number alone, so a resumed run ends as
    one that was never stopped.

    Args:
        rule: where to start from.
        families: of problems.
        config: constants.
        folder: where checkpoints and metrics go; nothing is written without one.
        resume: go on from the newest checkpoint in `folder`.

    Raises:
        InputError: if the loss stays non-finite.
    """

    def advance(
        state: metaopt.OuterState, index: int
    ) -> tuple[metaopt.OuterState, dict[str, Array]]:
        rng = np.random.default_rng((config.seed, index))
        steps = int(np.exp(rng.uniform(np.log(config.shortest), np.log(config.longest))))
        keys = jax.random.split(jax.random.key(rng.integers(2**31)), 1 + config.problems)
        family = families[index % len(families)]
        rate = config.learning_rate * (1 + np.cos(np.pi * index / config.outer_steps)) / 2
        return _advance(state, rule, family, keys, steps, rate, config=constants)

    constants = dataclasses.replace(config, outer_steps=0, seed=0)  # the rest needs a compilation
    return outer_loop.meta_train(
        rule, _descent(0.0), advance, config, folder, frozen=_FROZEN, resume=resume
    )


def outer_loss(
    rule: metaopt.InnerOptimizer,
    family: Family,
    key: Key[Array, ""],
    steps: int | Array,
    init_scale: float,
) -> Scalar:
    """The logarithm of the loss after a training, relative to that before it.

    Args:
        rule: that trains.
        family: of the problem.
        key: of the problem and its batches.
        steps: of the training; may be traced.
        init_scale: see `MetaTrainingConfig`.
    """
    problem_key, scale_key, batch_key = jax.random.split(key, 3)
    problem = _rescaled(family.sample(problem_key), scale_key, init_scale)
    rule = told(rule, steps)
    objective = metaopt.ScalarLoss(family.loss)

    def step(index: Array, carry: PyTree) -> PyTree:
        batch = family.batch(problem.context, jax.random.fold_in(batch_key, index))
        params, state = carry
        return rule.step(objective, params, state, batch)

    start = problem.params, rule.init(problem.params)
    params, _ = jax.lax.fori_loop(0, steps, step, start)
    whole = family.whole(problem.context)
    return jnp.log(family.loss(params, whole) / family.loss(problem.params, whole) + _FLOOR)


def _rescaled(problem: Problem, key: Key[Array, ""], largest: float) -> Problem:
    """With the kernels' initial values scaled, each by a random factor."""
    leaves, structure = jax.tree.flatten(problem.params)
    limit = np.log(largest)
    factors = jnp.exp(jax.random.uniform(key, (len(leaves),), minval=-limit, maxval=limit))
    scaled = [p * c if p.ndim > 1 else p for p, c in zip(leaves, factors, strict=True)]
    return problem._replace(params=jax.tree.unflatten(structure, scaled))


@functools.partial(jax.jit, static_argnames="config")
def _advance(
    state: metaopt.OuterState,
    rule: metaopt.InnerOptimizer,
    family: Family,
    keys: Key[Array, " 1+problems"],
    steps: Array,
    rate: Array,
    *,
    config: MetaTrainingConfig,
) -> tuple[metaopt.OuterState, dict[str, Array]]:
    """One outer step: a key of the perturbations, and one for each problem."""

    def loss(learned: PyTree, key: Array) -> tuple[Scalar, dict[str, Array]]:
        return outer_loss(with_leaves(rule, learned), family, key, steps, config.init_scale), {}

    estimator = metaopt.Evolution(keys[0], sigma=config.sigma, pairs=config.pairs)
    return metaopt.outer_step(loss, _descent(rate), state, keys[1:], estimator=estimator)


def _descent(rate: float | Array) -> optax.GradientTransformation:
    """Adam, to which every family says as much: their losses differ a thousandfold in spread."""
    return optax.chain(optax.normalize_by_update_norm(), optax.adam(rate))
