"""Objectives: what the inner loop minimizes.

`loss(params, batch)` is all that an inner optimizer may rely on. `LeastSquares` and `CompositeLoss`
add the curvature that steepest descent needs, by one linearization and its transpose: no Jacobian
is ever built.
"""

import abc
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar

from metaopt._pytree import Pytree
from metaopt._tree import vdot

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

    def value_and_gradient(self, params: PyTree, batch: PyTree) -> tuple[Scalar, PyTree]:
        """The loss and its gradient, by one evaluation where the gradient is that of the loss."""
        if type(self).gradient is Objective.gradient:
            return jax.value_and_grad(self.loss)(params, batch)
        return self.loss(params, batch), self.gradient(params, batch)


class CurvedObjective(Objective):
    """An objective that knows a positive semi-definite model Q of its curvature."""

    @abc.abstractmethod
    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        """The quadratic model at `params`: the gradient g, and the function v -> v'Qv."""

    def coordinates(self, params: PyTree) -> PyTree:
        """What of params, or of a gradient, is free; all, but where more is carried with them."""
        return params


class ScalarLoss(Objective):
    """Any differentiable scalar.

    Args:
        function: `function(params, batch) -> scalar`. A plain function is static; a callable that
            is itself a pytree (an `nnx.Module`, a `jax.tree_util.Partial`) keeps its leaves, so
            meta-parameters may live in it or be closed over. It changes nothing: what it writes
            into its params (a BatchNorm's statistics) is dropped with a warning; `Stateful` is for
            that.

    Raises:
        TypeError: if the function does not take (params, batch).
    """

    function: Callable[[PyTree, PyTree], Scalar]

    def __init__(self, loss: Callable[[PyTree, PyTree], Scalar]) -> None:
        self._set(function=_as_pytree(loss, "ScalarLoss", "loss"))

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return _call(self.function, params, batch)


class LeastSquares(CurvedObjective):
    """Half a sum of squared residuals, with the Gauss-Newton curvature Q = J'J.

        loss = 1/2 sum w r^2,    g = J'(w r),    v'Qv = sum w (Jv)^2

    A regularizer is one more residual: with `r = (data_residuals, sqrt(reg) * params)` its
    curvature is counted too. `weights` (1 by default) have exact derivatives at zero as well, where
    those of a residual sqrt(w) * r are NaN.

    Args:
        residuals: `residuals(params, batch) -> r`, any pytree of arrays. Static or pytree as in
            `ScalarLoss`. If it has a method `linear_image(params, batch)`, linear in the params, it
            takes its value as a third argument too, and `SteepestDescent` need not compute that
            at each step: a fit to one batch carries it from step to step.
        weights: a pytree like the residuals, or a prefix of it, of non-negative arrays that
            broadcast to them; meta-parameters like any leaf.

    Raises:
        TypeError: if the function does not take (params, batch).
    """

    residuals: Callable[[PyTree, PyTree], PyTree]
    weights: PyTree

    def __init__(
        self, residuals: Callable[[PyTree, PyTree], PyTree], weights: PyTree = None
    ) -> None:
        weights = jax.tree.map(lambda weight: jnp.asarray(weight, float), weights)
        self._set(residuals=_as_pytree(residuals, "LeastSquares", "residuals"), weights=weights)

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        residuals = _call(self.residuals, params, batch)
        return 0.5 * vdot(residuals, self._weighted(residuals))

    def gradient(self, params: PyTree, batch: PyTree) -> PyTree:
        return self.quadratic(params, batch)[0]

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        residuals, pushforward = jax.linearize(lambda p: self.residuals(p, batch), params)
        (gradient,) = jax.linear_transpose(pushforward, params)(self._weighted(residuals))

        def curvature(v: PyTree) -> Scalar:
            along = pushforward(v)
            return vdot(along, self._weighted(along))

        return gradient, curvature

    def _weighted(self, residuals: PyTree) -> PyTree:
        if self.weights is None:
            return residuals
        weights = jax.tree.broadcast(self.weights, residuals)
        return jax.tree.map(lambda w, r: (w * r).astype(r.dtype), weights, residuals)


class CompositeLoss(CurvedObjective):
    """A convex criterion of some outputs, with the generalized Gauss-Newton curvature Q = J'HJ.

    J is the Jacobian of the outputs with respect to the params, H the Hessian of the criterion with
    respect to the outputs (Schraudolph 2002).

    Args:
        outputs: `outputs(params, batch) -> z`, any pytree of arrays.
        criterion: `criterion(z, batch) -> scalar`, convex in z.

    Raises:
        TypeError: if a function does not take two arguments.
    """

    outputs: Callable[[PyTree, PyTree], PyTree]
    criterion: Callable[[PyTree, PyTree], Scalar]

    def __init__(
        self,
        outputs: Callable[[PyTree, PyTree], PyTree],
        criterion: Callable[[PyTree, PyTree], Scalar],
    ) -> None:
        self._set(
            outputs=_as_pytree(outputs, "CompositeLoss", "outputs"),
            criterion=_as_pytree(criterion, "CompositeLoss", "criterion", "outputs, batch"),
        )

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.criterion(_call(self.outputs, params, batch), batch)

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        outputs, pushforward = jax.linearize(lambda p: self.outputs(p, batch), params)
        slope, hessian = jax.linearize(jax.grad(lambda z: self.criterion(z, batch)), outputs)
        (gradient,) = jax.linear_transpose(pushforward, params)(slope)

        def curvature(v: PyTree) -> Array:
            along = pushforward(v)
            return vdot(along, hessian(along))

        return gradient, curvature


def _as_pytree(
    function: Callable[..., Any], owner: str, role: str, arguments: str = "params, batch"
) -> Callable[..., Any]:
    """A plain function becomes structure; a callable pytree stays one, its leaves visible."""
    if not callable(function):
        raise TypeError(f"{owner} takes a function {role}({arguments}), not {function!r:.80}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions that are not written in Python have none
        signature = None
    if signature is not None:
        try:
            signature.bind(None, None)
        except TypeError:
            raise TypeError(
                f"{owner} calls {role}({arguments}) with two arguments, and the function that was "
                f"given takes {signature}: let it take both, used or not."
            ) from None
    is_leaf = jax.tree_util.all_leaves([function])
    return jax.tree_util.Partial(function) if is_leaf else function


def _call(function: Callable[..., Any], params: PyTree, batch: PyTree) -> Any:
    """The function of a copy of the params; a change that it makes to them is dropped, and said."""
    leaves, structure = jax.tree.flatten(params)
    copy = jax.tree.unflatten(structure, leaves)
    value = function(copy, batch)
    after, _ = jax.tree_util.tree_flatten_with_path(copy)
    changed = [
        jax.tree_util.keystr(path)
        for (path, new), old in zip(after, leaves, strict=False)
        if new is not old
    ]
    if changed:
        warnings.warn(
            f"the objective changes {', '.join(changed)} of its params while it is computed; the "
            "change is dropped. Split such state off the params (flax: graphdef, params, rest = "
            "nnx.split(module, nnx.Param, ...)) and carry it by metaopt.Stateful.",
            stacklevel=2,
        )
    return value


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
