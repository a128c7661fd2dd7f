"""The inner loop that runs until it has converged."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from metaopt._objectives import Objective
from metaopt.optimizers._base import InnerOptimizer


class ConvergedFit(NamedTuple):
    """What `fit_until` returns.

    Attributes:
        params: the params after the last step.
        steps: the number of steps taken.
        state: the state of the inner optimizer after the last step, with which a later fit goes on.
    """

    params: PyTree
    steps: Int[Array, ""]
    state: PyTree


def fit_until(
    optimizer: InnerOptimizer,
    objective: Objective,
    params: PyTree,
    batch: PyTree,
    *,
    converged: Callable[[PyTree], Bool[Array, ""]],
    max_steps: int | Int[Array, ""],
    state: PyTree = None,
) -> ConvergedFit:
    """Minimizes `objective` until the params have converged, under `lax.while_loop`.

    For use, not for meta-training: the number of steps depends on the values, so that there is no
    derivative in reverse mode; `fit` has a fixed number.

    Args:
        optimizer: the rule.
        objective: what is minimized.
        params: the initial inner parameters.
        batch: samples that every step uses.
        converged: whether params need no further step; asked before each step.
        max_steps: steps after which it ends in any case; may be traced.
        state: where the optimizer goes on from; `optimizer.init(params)` by default.
    """

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        _, _, steps, done = carry
        return ~done & (steps < max_steps)

    def step(carry: tuple) -> tuple:
        params, state, steps, _ = carry
        # Asked in the same pass as the step is taken, so that the compiler computes once what
        # both need, at the price of one step that is thrown away.
        done = converged(params)
        moved = optimizer.step(objective, params, state, batch)
        keep = lambda old, new: jnp.where(done, old, new)
        params, state = jax.tree.map(keep, (params, state), moved)
        return params, state, steps + ~done, done

    state = optimizer.init(params) if state is None else state
    start = params, state, jnp.zeros((), jnp.int32), jnp.array(False)
    params, state, steps, _ = jax.lax.while_loop(unfinished, step, start)
    return ConvergedFit(params, steps, state)
