"""The one inner loop."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from metaopt._adjoints import Adjoint, Loop, Unrolled
from metaopt._objectives import Objective
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
    """

    params: PyTree
    losses: Float[Array, " steps_plus_1"]
    observed: PyTree
    state: PyTree


def fit(
    optimizer: InnerOptimizer,
    objective: Objective,
    params: PyTree,
    batch: PyTree = None,
    *,
    batches: PyTree = None,
    steps: int,
    adjoint: Adjoint | None = None,
    observe: Callable[[PyTree], PyTree] | None = None,
    state: PyTree = None,
    active_steps: int | Int[Array, ""] | None = None,
) -> FitResult:
    """Minimizes `objective` over `params` by `steps` steps of `optimizer`, under `lax.scan`.

    Differentiable in every leaf of every argument, and in what the objective closes over, as far
    as the adjoint goes.

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

    Raises:
        ValueError: if not exactly one of `batch` and `batches` is given, if `steps` is negative, or
            if the leading axis of `batches` is not `steps`.
        TypeError: if the optimizer needs what the objective lacks.
    """
    if (batch is None) == (batches is None):
        raise ValueError("fit takes exactly one of `batch` (reused) and `batches` (one a step).")
    if steps < 0:
        raise ValueError(f"fit takes 0 steps or more, not {steps}.")
    if batches is not None:
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batches)}
        if lengths != {(steps,)} or steps == 0:
            raise ValueError(
                f"Every leaf of `batches` needs a leading axis of length steps = {steps} >= 1; "
                f"theirs are {sorted(lengths)}."
            )

    if active_steps is not None:
        rule = ActiveSteps(optimizer, active_steps)
        result = fit(
            rule, objective, params, batch, batches=batches, steps=steps, adjoint=adjoint,
            observe=observe, state=None if state is None else rule.resume(state),
        )  # fmt: skip
        return result._replace(state=result.state.inner)

    observe = observe or (lambda params: None)
    loop = Loop(optimizer, objective, observe, batch, batches, steps)
    carry = params, optimizer.init(params) if state is None else state
    (params, state), records = (adjoint or Unrolled()).run(loop, carry)
    last = loop.record(params, loop.last_samples)
    losses, observed = jax.tree.map(
        lambda stack, final: jnp.concatenate([stack, final[None]]), records, last
    )
    return FitResult(params, losses, observed, state)
