"""The inner loop that runs until it has converged."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from metaopt import _door, _program
from metaopt._adjoints import Implicit
from metaopt._adjoints._closure import constant
from metaopt._leaves import floating
from metaopt._objectives import Objective
from metaopt._stateful import Stateful
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
    max_steps: int | Int[Array, ""] | None = None,
    state: PyTree = None,
    adjoint: Implicit | None = None,
    most_steps: int | Int[Array, ""] | None = None,
) -> ConvergedFit:
    """Minimizes `objective` until the params have converged, under `lax.while_loop`.

    The derivative is that of the minimizer, by the implicit function theorem: with respect to what
    the objective holds or closes over, and the batch. With respect to the initial params, the rule
    and its state it is zero. Outside of jit the program is kept from call to call, as that of
    `fit`.

    Args:
        optimizer: the rule.
        objective: what is minimized.
        params: the initial inner parameters, any pytree of floating arrays.
        batch: samples that every step uses.
        converged: whether params need no further step; asked before each step.
        max_steps: steps after which it ends in any case; may be traced.
        state: where the optimizer goes on from; `optimizer.init(params)` by default.
        adjoint: how the linear system of the derivative is solved; `Implicit()` by default.
        most_steps: the former name of `max_steps`; one of the two is given.

    Raises:
        TypeError: if an argument is not what it should be, or a leaf of the params is not floating.
        ValueError: if `state` or the optimizer is not for params of these shapes.
    """
    _door.require_optimizer(optimizer)
    _door.require_objective(objective)
    if isinstance(objective, Stateful):
        raise TypeError("fit_until carries no model state: give a Stateful objective to fit.")
    adjoint = Implicit() if adjoint is None else adjoint
    if not isinstance(adjoint, Implicit):
        raise TypeError(
            f"fit_until has the derivative of metaopt.Implicit(...) only, not {adjoint!r:.60}: the "
            "number of its steps depends on the values; fit has a fixed number."
        )
    if (max_steps is None) == (most_steps is None):
        raise TypeError("fit_until takes max_steps, after which it ends in any case.")
    limit = most_steps if max_steps is None else max_steps
    arguments = optimizer, objective, adjoint, floating(params), batch, limit, state
    return _program.run(_fit_until, arguments, {"converged": converged})


def _fit_until(
    optimizer: InnerOptimizer,
    objective: Objective,
    adjoint: Implicit,
    params: PyTree,
    batch: PyTree,
    max_steps: int | Int[Array, ""],
    state: PyTree,
    *,
    converged: Callable[[PyTree], Bool[Array, ""]],
) -> ConvergedFit:
    """The fit itself."""

    def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
        _, _, steps, done = carry
        return ~done & (steps < max_steps)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        params, state, steps, _ = carry
        # Asked in the same pass as the step is taken, so that the compiler computes once what
        # both need, at the price of one step that is thrown away.
        done = converged(params)
        moved = optimizer.step(objective, params, state, batch)
        keep = lambda old, new: jnp.where(done, old, new)
        params, state = jax.tree.map(keep, (params, state), moved)
        return params, state, steps + ~done, done

    if state is None:
        state = optimizer.init(params)
    else:
        _door.require_state(optimizer, params, state)
    begin = params, state, jnp.zeros((), jnp.int32), jnp.array(False)
    loop = lambda begin: jax.lax.while_loop(unfinished, step, begin)
    end, state, steps, _ = constant(loop, begin)
    return ConvergedFit(adjoint.attach(objective, batch, params, end), steps, state)
