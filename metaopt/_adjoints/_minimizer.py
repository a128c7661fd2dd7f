"""The params at the end of a fit, with the derivative of the minimizer."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Scalar

from metaopt._adjoints._closure import hoist
from metaopt._objectives import Objective
from metaopt._solvers import Matvec, Settings, solve
from metaopt._tree import normalized, ratio, sum_of_squares, vdot

# A fit counts as one at a minimum if a step along the gradient would move the params by less than
# this share of their norm, or of the way that the fit went.
_AT_MINIMUM = 1e-2


class ConvergenceWarning(UserWarning):
    """A derivative was computed where a fit or a linear solve has not converged."""


def minimizer(
    objective: Objective,
    batch: PyTree,
    start: PyTree,
    params: PyTree,
    *,
    solver: str,
    settings: Settings,
    damping: float | Scalar,
    unconverged: str,
) -> PyTree:
    """The params, with the derivative -H^-1 dg/dm by all that the objective reads beside them.

    Args:
        objective: what was minimized; by what it holds or closes over the derivative is taken.
        batch: the samples; by these too.
        start: the params from which the fit went.
        params: those at which it ended; constants.
        solver: name of the linear solver.
        settings: of the linear solver.
        damping: added to the diagonal of H.
        unconverged: what becomes of a solve or a fit that has not converged: "warn", "raise" or
            "ignore".
    """
    start, params = jax.lax.stop_gradient((start, params))
    gradient, held = hoist(lambda p: objective.gradient(p, batch), params)
    symmetric = solver in ("cg", "neumann", "dense")

    @jax.custom_jvp
    def attached(held: list[Array], params: PyTree, rest: tuple[Any, ...]) -> PyTree:
        return params

    @attached.defjvp
    def derivative(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[PyTree, PyTree]:
        held, params, rest = primals
        # Of the minimizer again, so that a second derivative knows that it moves.
        params = attached(held, params, rest)
        start, damping, settings = rest
        settings = settings._replace(max_iterations=max_iterations, definite=False)
        _, change = jax.jvp(lambda held: gradient(held, params), (held,), tangents[:1])
        slope, hessian = jax.linearize(lambda p: gradient(held, p), params)
        damped = lambda v: jax.tree.map(lambda hv, v: hv + damping * v, hessian(v), v)
        left = _left_to_go(slope, hessian, start, params) if unconverged != "ignore" else None

        def solution(matvec: Matvec, right_side: PyTree) -> PyTree:
            x, report = solve(solver, matvec, right_side, settings)
            if left is not None:
                tell = functools.partial(_tell, unconverged, solver)
                jax.debug.callback(tell, report.residual, report.iterations, report.converged, left)
            return x

        moved = jax.lax.custom_linear_solve(damped, change, solution, solution, symmetric)
        return params, jax.tree.map(jnp.negative, moved)

    max_iterations = settings.max_iterations
    rest = start, damping, settings._replace(max_iterations=0)
    return attached(held, params, jax.lax.stop_gradient(jax.tree.map(jnp.asarray, rest)))


def _left_to_go(
    slope: PyTree, hessian: Callable[[PyTree], PyTree], start: PyTree, params: PyTree
) -> Scalar:
    """How far the minimum along the gradient is, relative to the params or the way of the fit."""
    scale, along = normalized(slope)
    squared, curvature = sum_of_squares(along), vdot(along, hessian(along))
    length = jnp.where(
        curvature > 0,
        scale * ratio(squared, jnp.where(curvature > 0, curvature, 1)) * jnp.sqrt(squared),
        jnp.where(squared > 0, jnp.inf, 0.0),
    )
    went = sum_of_squares(jax.tree.map(jnp.subtract, params, start))
    whole = jnp.sqrt(jnp.maximum(went, sum_of_squares(params)))
    return jnp.where(whole > 0, length / jnp.where(whole > 0, whole, 1), 0)


def _tell(
    action: str, solver: str, residual: Any, iterations: Any, converged: Any, left: Any
) -> None:
    """Warns or raises, on the host, if the solve or the fit has not converged."""
    sentences = []
    if not np.all(converged):
        sentences.append(
            f"the linear solve of the implicit derivative ({solver}) has not converged: relative "
            f"residual {np.max(residual):.2g} after {np.max(iterations)} iterations. Give "
            "metaopt.Implicit more max_iterations, damping, or another solver."
        )
    if not np.all(left <= _AT_MINIMUM):
        sentences.append(
            "an implicit derivative was taken where the inner fit is not at a minimum: a step "
            f"along the gradient would move the params by {np.max(left):.2g} of their norm. Let it "
            "take more steps."
        )
    if not sentences:
        return
    if action == "raise":
        raise RuntimeError(" And ".join(sentences))
    for sentence in sentences:
        warnings.warn(sentence, ConvergenceWarning, stacklevel=2)
