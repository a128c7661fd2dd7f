"""The one inner loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from metaopt import _door, _parallel, _program
from metaopt._adjoints import Adjoint, Carry, Loop, Unrolled
from metaopt._leaves import floating
from metaopt._objectives import Objective
from metaopt._stateful import Stateful
from metaopt.optimizers._base import InnerOptimizer
from metaopt.optimizers.active_steps import ActiveSteps


class FitResult(NamedTuple):
    """What a fit returns.

    Attributes:
        params: the params after the last step.
        losses: (steps + 1,), the objective before each step and after the last one. With `batches`
            the loss of entry t is on batch t, that of the last entry on the last batch.
        observed: `observe(params)` on the initial params and after each step, stacked along a
            leading axis of steps + 1; None without `observe`.
        state: the state of the inner optimizer after the last step, with which a later fit goes on.
        model_state: that of a `Stateful` objective after the last step; None for any other.
        aux: the auxiliary output of a `Stateful` objective, stacked like `observed`.
    """

    params: PyTree
    losses: Float[Array, " steps_plus_1"]
    observed: PyTree
    state: PyTree
    model_state: PyTree = None
    aux: PyTree = None


def fit(
    optimizer: InnerOptimizer,
    objective: Objective | Stateful,
    params: PyTree,
    batch: PyTree = None,
    *,
    batches: PyTree = None,
    steps: int,
    adjoint: Adjoint | None = None,
    observe: Callable[[PyTree], PyTree] | None = None,
    state: PyTree = None,
    active_steps: int | Int[Array, ""] | None = None,
    model_state: PyTree = None,
) -> FitResult:
    """Minimizes `objective` over `params` by `steps` steps of `optimizer`, under `lax.scan`.

    Differentiable in every leaf of every argument, and in what the objective closes over, as far
    as the adjoint goes.

    Outside of jit the program is compiled at the first call and kept: further calls with the same
    functions and shapes take what the program takes. A function made anew at each call (a lambda)
    counts as the same while its code and the numbers, strings, arrays and functions that it reads
    of its closure and globals do; an array that it closes over is a constant of the program, so one
    that changes from call to call belongs into the batch. A function that reads an object which may
    change unseen is compiled at every call.

    Args:
        optimizer: the rule; its leaves are meta-parameters.
        objective: what is minimized.
        params: the initial inner parameters, any pytree of floating arrays.
        batch: samples that every step uses.
        batches: samples with a leading axis of length `steps`, one slice a step. Exactly one of
            `batch` and `batches` is given.
        steps: the number of steps, 0 or more.
        adjoint: how the outer gradient passes through; `Unrolled()` by default.
        observe: a function of the params to be recorded at every iterate (DiMP, eq. 9) without
            keeping the iterates themselves.
        state: where the optimizer goes on from; `optimizer.init(params)` by default.
        active_steps: how many of the steps are really taken, all by default; may be traced. The
            same as a fit of `ActiveSteps(optimizer, active_steps)`.
        model_state: the first one of a `Stateful` objective.

    Raises:
        ValueError: if not exactly one of `batch` and `batches` is given, if `steps` is negative, if
            the leading axis of `batches` is not `steps`, or if `state` or the optimizer is not for
            params of these shapes.
        TypeError: if an argument is not what it should be, a leaf of the params is not floating,
            the loss is no scalar, or the optimizer needs what the objective lacks.
    """
    _door.require_optimizer(optimizer)
    _door.require_objective(objective)
    adjoint = Unrolled() if adjoint is None else adjoint
    _door.require_adjoint(adjoint)
    steps = _door.whole_number(steps)
    _door.require_batch(batch, batches, steps)
    _door.require_model_state(objective, model_state)
    params = floating(params)
    if active_steps is not None:
        rule = ActiveSteps(optimizer, active_steps)
        result = fit(
            rule, objective, params, batch, batches=batches, steps=steps, adjoint=adjoint,
            observe=observe, state=None if state is None else rule.resume(state),
            model_state=model_state,
        )  # fmt: skip
        return result._replace(state=result.state.inner)
    arguments = optimizer, objective, adjoint, params, batch, batches, state, model_state
    return _program.run(_fit, arguments, {"steps": steps, "observe": observe})


def _fit(
    optimizer: InnerOptimizer,
    objective: Objective | Stateful,
    adjoint: Adjoint,
    params: PyTree,
    batch: PyTree,
    batches: PyTree,
    state: PyTree,
    model_state: PyTree,
    *,
    steps: int,
    observe: Callable[[PyTree], Any] | None,
) -> FitResult:
    """The fit itself."""
    if state is None:
        state = optimizer.init(params)
    else:
        _door.require_state(optimizer, params, state)
    loop = Loop(optimizer, objective, observe or (lambda params: None), batch, batches, steps)
    carry = _parallel.of_every_device(loop, Carry(params, state, model_state))
    carry, records = adjoint.run(loop, carry)
    last = loop.record(carry, loop.last_samples)
    losses, observed, aux = jax.tree.map(
        lambda stack, final: jnp.concatenate([stack, final[None]]), records, last
    )
    return FitResult(carry.params, losses, observed, carry.state, carry.model_state, aux)
