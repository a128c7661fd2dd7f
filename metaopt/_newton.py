"""Damped Gauss-Newton steps by conjugate gradients, with no matrix but products with it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._solvers import Matvec, Settings, conjugate_gradients
from metaopt._tree import normalized, ratio, sum_of_squares, vdot

# Of the conjugate gradients, relative to the gradient: what rounding leaves.
_TOLERANCE_IN_EPS = 10


class NewtonStep(NamedTuple):
    """A step d of a quadratic model.

    Attributes:
        scale: a power of two, by which `direction` is brought near 1.
        direction: d / scale.
        reduction: by how much the model falls, without the damping: -g'd - d'Qd / 2.
    """

    scale: Scalar
    direction: PyTree
    reduction: Float[Array, ""]


def mean_curvature(gradient: PyTree, curvature: Callable[[PyTree], Scalar]) -> Scalar:
    """The curvature along the gradient, g'Qg / g'g; 0 without gradient, or if it is negative."""
    _, unit = normalized(gradient)
    squared = sum_of_squares(unit)
    safe = jnp.where(squared > 0, squared, 1)
    return jnp.where(squared > 0, jnp.maximum(ratio(curvature(unit), safe), 0), 0)


def newton_step(
    gradient: PyTree,
    curvature: Callable[[PyTree], Scalar],
    damping: Scalar,
    *,
    max_iterations: int,
) -> NewtonStep:
    """Solves (Q + damping I) d = -g by conjugate gradients.

    The derivative is that of the solution, by the implicit function theorem, and as exact as the
    conjugate gradients have converged.

    Args:
        gradient: g.
        curvature: the function v -> v'Qv, of which the product Qv is half the slope.
        damping: in the units of Q, 0 or more.
        max_iterations: of the conjugate gradients, each one product with Q.
    """
    scale, unit = normalized(gradient)
    half_slope = jax.grad(lambda v: 0.5 * curvature(v))
    product = lambda v: jax.tree.map(lambda qv, v: qv + (damping * v).astype(v.dtype),
                                     half_slope(v), v)  # fmt: skip
    tolerance = _TOLERANCE_IN_EPS * float(jnp.finfo(jnp.result_type(scale)).eps)
    settings = Settings(tolerance, max_iterations, 0.0, definite=True)
    solution = lambda matvec, right_side: _solve(matvec, right_side, settings)
    solved = jax.lax.custom_linear_solve(product, unit, solution, solution, symmetric=True)
    # scale^2 (u's - s'Qs / 2) with (Q + damping I) s = u, in which Q does not appear again,
    # each product in an order whose factors neither overflow nor underflow.
    damped = jax.tree.map(lambda s: (damping * s).astype(s.dtype), solved)
    reduction = 0.5 * (vdot(unit, solved) + vdot(damped, solved))
    step = jax.tree.map(jnp.negative, solved)
    return NewtonStep(scale, step, scale * (scale * reduction))


def _solve(matvec: Matvec, right_side: PyTree, settings: Settings) -> PyTree:
    return conjugate_gradients(matvec, right_side, settings)[0]
