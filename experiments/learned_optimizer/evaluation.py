"""Losses by step of many trainings side by side, and how they compare with Adam's."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

import metaopt
from experiments.learned_optimizer.contenders import Contender
from experiments.learned_optimizer.tasks.base import Family

HORIZONS = (100, 500, 2000)
# Steps between records: 50 records up to each horizon.
STRIDES = np.repeat([2, 8, 30], 50)
RECORDED = np.concatenate([[0], np.cumsum(STRIDES)])


class Rule(NamedTuple):
    """How a training goes on. Attributes: as an inner optimizer's; judged, of state and params."""

    init: Callable[[PyTree], Any]
    step: Callable[[metaopt.Objective, PyTree, Any, PyTree], tuple[PyTree, Any]]
    judged: Callable[[Any, PyTree], PyTree] = lambda state, params: params


@functools.partial(jax.jit, static_argnames="contender")
def curves(
    contender: Contender,
    family: Family,
    keys: Key[Array, " problems"],
    rates: Float[Array, " rates"],
    steps: int | Array,
) -> Float[Array, "rates problems records"]:
    """The loss on the whole of each problem, before the first step and at each of `RECORDED`.

    Beyond `steps` the last loss is repeated. One compilation serves all numbers of steps.
    """

    def one(rate: Array, key: Array) -> Array:
        return curve(rule_of(contender, rate, steps), family, key, steps)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(rates, keys)


@jax.jit
def learned_curves(
    rule: metaopt.InnerOptimizer, family: Family, keys: Key[Array, " problems"], steps: int | Array
) -> Float[Array, "problems records"]:
    """Likewise of a rule that has no rate to tune."""
    trained = Rule(rule.init, rule.step)
    return jax.vmap(lambda key: curve(trained, family, key, steps))(keys)


def curve(
    rule: Rule, family: Family, key: Key[Array, ""], steps: int | Array
) -> Float[Array, " records"]:
    """Likewise of one training; problem and batches follow from the key alone."""
    problem_key, batch_key = jax.random.split(key)
    problem = family.sample(problem_key)
    objective = metaopt.ScalarLoss(family.loss)
    whole = family.whole(problem.context)

    def step(index: Array, carry: PyTree) -> PyTree:
        batch = family.batch(problem.context, jax.random.fold_in(batch_key, index))
        params, state = carry
        return rule.step(objective, params, state, batch)

    def advance(carry: PyTree, span: Int[Array, "2"]) -> tuple[PyTree, Array]:
        first, end = jnp.minimum(span, steps)
        params, state = jax.lax.fori_loop(first, end, step, carry)
        return (params, state), family.loss(rule.judged(state, params), whole)

    start = problem.params, rule.init(problem.params)
    spans = jnp.stack([RECORDED[:-1], RECORDED[1:]], 1)
    _, losses = jax.lax.scan(advance, start, spans)
    return jnp.concatenate([family.loss(problem.params, whole)[None], losses])


def final_losses(curves: np.ndarray, steps: int) -> np.ndarray:
    """The last of the records within a number of steps; infinite where it is not finite."""
    final = curves[..., np.searchsorted(RECORDED, steps)]
    return np.where(np.isfinite(final), final, np.inf)


def best(curves: Float[np.ndarray, "rates problems records"], steps: int) -> int:
    """The rate with the lowest geometric mean of final losses."""
    return int(np.log(final_losses(curves, steps) + 1e-30).mean(1).argmin())


def speed_up(ours: Float[np.ndarray, " records"], goal: float, steps: int) -> float:
    """How many times fewer steps than `steps` reach a loss; 0 if they never do."""
    within = np.searchsorted(RECORDED, steps) + 1
    reached = np.flatnonzero(ours[:within] <= goal)
    return steps / max(RECORDED[reached[0]], 1) if len(reached) else 0.0


def interquartile_mean(
    scores: Mapping[str, np.ndarray], draws: int = 2000
) -> tuple[float, float, float]:
    """Of all tasks' scores by seed, with a 95 % interval from resampling each task's seeds.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021.
    """
    rng = np.random.default_rng(0)
    values = np.stack(list(scores.values()))
    chosen = rng.integers(0, values.shape[1], (draws, *values.shape))
    resampled = np.take_along_axis(values[None], chosen, 2).reshape(draws, -1)
    low, high = np.percentile([_middle_mean(sample) for sample in resampled], [2.5, 97.5])
    return _middle_mean(values.ravel()), low, high


def _middle_mean(values: np.ndarray) -> float:
    """The mean of the middle half."""
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())


def rule_of(contender: Contender, rate: Array, steps: int | Array) -> Rule:
    """An optax optimizer as a rule, without what `metaopt.GradientDescent` does for derivatives."""
    transformation = optax.with_extra_args_support(contender.make(rate, steps))

    def step(
        objective: metaopt.Objective, params: PyTree, state: Any, batch: PyTree
    ) -> tuple[PyTree, Any]:
        gradient = objective.gradient(params, batch)
        updates, state = transformation.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    return Rule(transformation.init, step, contender.judged)
