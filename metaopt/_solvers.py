"""Linear solvers for the curvature at a minimum, and the report of what they left.

Each is `solver(matvec, right_side, settings) -> solution, iterations`, on pytrees.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import gmres
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from metaopt._tree import normalized, sum_of_squares, vdot

Matvec = Callable[[PyTree], PyTree]
Count = int | Int[Array, ""]

_RESTART = 20


class Settings(NamedTuple):
    """Attributes: as of `Implicit`; definite, whether to end where curvature is not positive."""

    tolerance: float | Scalar
    max_iterations: int
    rate: float | Scalar
    definite: bool = False


class SolveReport(NamedTuple):
    """What a linear solve left.

    Attributes:
        residual: norm of the residual, relative to that of the right-hand side.
        iterations: the number taken.
        converged: whether the residual is within the tolerance.
    """

    residual: Float[Array, ""]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]


def solve(
    name: str, matvec: Matvec, right_side: PyTree, settings: Settings
) -> tuple[PyTree, SolveReport]:
    """Solves `matvec(x) = right_side` by the solver of that name."""
    scale, unit = normalized(right_side)
    solution, iterations = SOLVERS[name](matvec, unit, settings)
    left = sum_of_squares(jax.tree.map(jnp.subtract, unit, matvec(solution)))
    whole = sum_of_squares(unit)
    residual = jnp.sqrt(jnp.where(whole > 0, left / jnp.where(whole > 0, whole, 1), left))
    # What was computed anew differs from what the iteration kept by rounding.
    within = 2 * settings.tolerance + 10 * jnp.finfo(residual.dtype).eps
    report = SolveReport(residual, jnp.asarray(iterations, jnp.int32), residual <= within)
    return jax.tree.map(lambda x: (scale * x).astype(x.dtype), solution), report


def conjugate_gradients(
    matvec: Matvec, right_side: PyTree, settings: Settings
) -> tuple[PyTree, Count]:
    """For a symmetric matrix, best a positive definite one (Hestenes and Stiefel 1952).

    It ends, as far as it has come, where the curvature along a direction is zero, or not positive
    if the matrix has to be definite.
    """
    enough = settings.tolerance**2 * sum_of_squares(right_side)

    def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
        _, _, _, left, iterations, positive = carry
        return (left > enough) & (iterations < settings.max_iterations) & positive

    def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, residual, direction, left, iterations, _ = carry
        image = matvec(direction)
        along = vdot(direction, image)
        positive = (along > 0) if settings.definite else (along != 0)
        length = jnp.where(positive, left / jnp.where(positive, along, 1), 0)
        x = _axpy(length, direction, x)
        residual = _axpy(-length, image, residual)
        after = sum_of_squares(residual)
        direction = _axpy(after / left, direction, residual)
        return x, residual, direction, after, iterations + 1, positive

    zero = jax.tree.map(jnp.zeros_like, right_side)
    start = zero, right_side, right_side, sum_of_squares(right_side), 0, jnp.array(True)
    x, *_, iterations, _ = jax.lax.while_loop(unfinished, iterate, start)
    return x, iterations


def bicgstab(matvec: Matvec, right_side: PyTree, settings: Settings) -> tuple[PyTree, Count]:
    """For a matrix that is not symmetric (van der Vorst 1992); ends where it breaks down."""
    enough = settings.tolerance**2 * sum_of_squares(right_side)

    def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
        residual, iterations, sound = carry[1], carry[-2], carry[-1]
        return (sum_of_squares(residual) > enough) & (iterations < settings.max_iterations) & sound

    def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, residual, direction, image, rho, alpha, omega, iterations, _ = carry
        new_rho = vdot(right_side, residual)
        beta = new_rho / rho * alpha / omega
        direction = _axpy(beta, _axpy(-omega, image, direction), residual)
        image = matvec(direction)
        alpha = new_rho / vdot(right_side, image)
        half = _axpy(-alpha, image, residual)
        half_image = matvec(half)
        omega = vdot(half_image, half) / sum_of_squares(half_image)
        omega = jnp.where(jnp.isfinite(omega), omega, 0)  # half is zero: the solution is found
        moved = _axpy(omega, half, _axpy(alpha, direction, x))
        sound = jnp.isfinite(alpha) & jnp.isfinite(beta)
        keep = lambda new, old: jnp.where(sound, new, old)
        x = jax.tree.map(keep, moved, x)
        residual = jax.tree.map(keep, _axpy(-omega, half_image, half), residual)
        return x, residual, direction, image, new_rho, alpha, omega, iterations + 1, sound

    zero = jax.tree.map(jnp.zeros_like, right_side)
    one = jnp.ones_like(sum_of_squares(right_side))
    start = zero, right_side, zero, zero, one, one, one, 0, jnp.array(True)
    x, *_, iterations, _ = jax.lax.while_loop(unfinished, iterate, start)
    return x, iterations


def restarted_gmres(matvec: Matvec, right_side: PyTree, settings: Settings) -> tuple[PyTree, Count]:
    """For any matrix; restarted after 20 iterations (Saad and Schultz 1986)."""
    enough = settings.tolerance**2 * sum_of_squares(right_side)
    restart = min(_RESTART, settings.max_iterations)

    def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
        _, left, iterations = carry
        return (left > enough) & (iterations < settings.max_iterations)

    def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, _, iterations = carry
        x, _ = gmres(matvec, right_side, x0=x, tol=settings.tolerance, restart=restart, maxiter=1)
        left = sum_of_squares(jax.tree.map(jnp.subtract, right_side, matvec(x)))
        return x, left, iterations + restart

    zero = jax.tree.map(jnp.zeros_like, right_side)
    start = zero, sum_of_squares(right_side), 0
    x, _, iterations = jax.lax.while_loop(unfinished, iterate, start)
    return x, iterations


def neumann(matvec: Matvec, right_side: PyTree, settings: Settings) -> tuple[PyTree, Count]:
    """The series rate * sum_k (I - rate A)^k b.

    It converges where every eigenvalue of rate * A lies between 0 and 2 (Lorraine et al.,
    "Optimizing Millions of Hyperparameters by Implicit Differentiation", AISTATS 2020, eq. 8).
    """
    enough = settings.tolerance**2 * sum_of_squares(right_side)

    def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
        _, residual, iterations = carry
        return (sum_of_squares(residual) > enough) & (iterations < settings.max_iterations)

    def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, residual, iterations = carry
        x = _axpy(settings.rate, residual, x)
        return x, _axpy(-settings.rate, matvec(residual), residual), iterations + 1

    zero = jax.tree.map(jnp.zeros_like, right_side)
    x, _, iterations = jax.lax.while_loop(unfinished, iterate, (zero, right_side, 0))
    return x, iterations


def dense(matvec: Matvec, right_side: PyTree, settings: Settings) -> tuple[PyTree, Count]:
    """By the matrix itself, for a few hundred params."""
    flat, unravel = ravel_pytree(right_side)
    column = lambda v: ravel_pytree(matvec(unravel(v)))[0]
    matrix = jax.vmap(column, out_axes=1)(jnp.eye(flat.size, dtype=flat.dtype))
    return unravel(jnp.linalg.solve(matrix, flat)), 1


SOLVERS = {
    "cg": conjugate_gradients,
    "bicgstab": bicgstab,
    "gmres": restarted_gmres,
    "neumann": neumann,
    "dense": dense,
}


def _axpy(scale: float | Scalar, x: PyTree, y: PyTree) -> PyTree:
    """`scale * x + y`, in the dtypes of y."""
    return jax.tree.map(lambda a, b: (scale * a + b).astype(b.dtype), x, y)
