"""Objectives: what the inner loop minimizes.

`loss(params, batch)` is all that an inner optimizer may rely on. `LeastSquares` and `CompositeLoss`
add the curvature that steepest descent needs, by one linearization and its transpose: no Jacobian
is ever built.
"""

import abc
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, PyTree, Scalar

from metaopt._pytree import Pytree
from metaopt._tree import sum_of_squares, vdot

Quadratic = tuple[PyTree, Callable[[PyTree], Scalar]]


class Objective(Pytree):
    """What an inner loop minimizes over `params`, given a `batch` of samples."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @abc.abstractmethod
    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        """The scalar that is minimized."""

    def gradient(self, params: PyTree, batch: PyTree) -> PyTree:
        """The gradient of the loss, of the structure of `params`."""
        return jax.grad(self.loss)(params, batch)


class CurvedObjective(Objective):
    """An objective that knows a positive semi-definite model Q of its curvature."""

    @abc.abstractmethod
    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        """The quadratic model at `params`: the gradient g, and the function v -> v'Qv."""


class ScalarLoss(Objective):
    """Any differentiable scalar.

    Args:
        function: `function(params, batch) -> scalar`. A plain function is static; a callable that
            is itself a pytree (an `nnx.Module`, a `jax.tree_util.Partial`) keeps its leaves, so
            meta-parameters may live in it or be closed over.
    """

    function: Callable[[PyTree, PyTree], Scalar]

    def __init__(self, loss: Callable[[PyTree, PyTree], Scalar]) -> None:
        self._set(function=_as_pytree(loss))

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.function(params, batch)


class LeastSquares(CurvedObjective):
    """Half a sum of squared residuals, with the Gauss-Newton curvature Q = J'J.

    A regularizer is one more residual: with `r = (data_residuals, sqrt(reg) * params)` its
    curvature is counted too.

    Args:
        residuals: `residuals(params, batch) -> r`, any pytree of arrays. Static or pytree as in
            `ScalarLoss`.
    """

    residuals: Callable[[PyTree, PyTree], PyTree]

    def __init__(self, residuals: Callable[[PyTree, PyTree], PyTree]) -> None:
        self._set(residuals=_as_pytree(residuals))

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return 0.5 * sum_of_squares(self.residuals(params, batch))

    def gradient(self, params: PyTree, batch: PyTree) -> PyTree:
        return self.quadratic(params, batch)[0]

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        residuals, pushforward = jax.linearize(lambda p: self.residuals(p, batch), params)
        (gradient,) = jax.linear_transpose(pushforward, params)(residuals)
        return gradient, lambda v: sum_of_squares(pushforward(v))


class CompositeLoss(CurvedObjective):
    """A convex criterion of some outputs, with the generalized Gauss-Newton curvature Q = J'HJ.

    J is the Jacobian of the outputs with respect to the params, H the Hessian of the criterion with
    respect to the outputs (Schraudolph 2002).

    Args:
        outputs: `outputs(params, batch) -> z`, any pytree of arrays.
        criterion: `criterion(z, batch) -> scalar`, convex in z.
    """

    outputs: Callable[[PyTree, PyTree], PyTree]
    criterion: Callable[[PyTree, PyTree], Scalar]

    def __init__(
        self,
        outputs: Callable[[PyTree, PyTree], PyTree],
        criterion: Callable[[PyTree, PyTree], Scalar],
    ) -> None:
        self._set(outputs=_as_pytree(outputs), criterion=_as_pytree(criterion))

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.criterion(self.outputs(params, batch), batch)

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        outputs, pushforward = jax.linearize(lambda p: self.outputs(p, batch), params)
        slope, hessian = jax.linearize(jax.grad(lambda z: self.criterion(z, batch)), outputs)
        (gradient,) = jax.linear_transpose(pushforward, params)(slope)

        def curvature(v: PyTree) -> Array:
            along = pushforward(v)
            return vdot(along, hessian(along))

        return gradient, curvature


def _as_pytree(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function becomes structure; a callable pytree stays one, its leaves visible."""
    is_leaf = jax.tree_util.all_leaves([function])
    return jax.tree_util.Partial(function) if is_leaf else function


def require_curvature(objective: Objective, user: str) -> CurvedObjective:
    """Returns the objective if it has curvature.

    Raises:
        TypeError: if it has none.
    """
    if isinstance(objective, CurvedObjective):
        return objective
    raise TypeError(
        f"{user} needs the curvature of its objective, and {objective.name} has none: "
        "give it metaopt.LeastSquares(residuals) or metaopt.CompositeLoss(outputs, criterion)."
    )
